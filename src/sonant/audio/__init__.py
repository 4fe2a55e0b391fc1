"""Audio in: recordings of any kind as float32, their channels and durations, long recordings in blocks and windows.

What users call: `read`, `stream` (blocks), `duration`, `channels`, `ceiling` (limits for what comes from strangers),
`windows` (long recordings in overlapping pieces).

From what is given to samples, in the order in which a recording passes through:

1. `given`, `arrays`: what a recording may be given as; arrays of samples.
2. `formats`: files, bytes and file objects of every format, decoded.
3. `recording`: the blocks of the wanted channels, which `read` and `stream` check and resample.

Beside it, for training and features: `activity`, `augment`, `mel`.
"""

from sonant.audio.ceiling import Ceiling
from sonant.audio.channels import Channel
from sonant.audio.duration import duration
from sonant.audio.open_recording import num_channels
from sonant.audio.read import read, resample
from sonant.audio.stream import blocks
from sonant.audio.windows import Window, Windowing, cut, keep, stitch

__all__ = [
    "Ceiling",
    "Channel",
    "Window",
    "Windowing",
    "blocks",
    "cut",
    "duration",
    "keep",
    "num_channels",
    "read",
    "resample",
    "stitch",
]

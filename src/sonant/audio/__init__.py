"""Audio input: recordings of any kind as float32, channels, durations, and long recordings in blocks and windows.

Public functions: `read`, `stream` (blocks), `duration`, `channels`, `ceiling` (limits for untrusted files), `segments`
(parts of recordings), `windows` (overlapping windows of long recordings).

The steps of decoding, in order:

1. `input_forms`, `arrays`: accepted forms of a recording; arrays of samples.
2. `formats`: files, bytes and file objects of every format, decoded.
3. `open_recording`: blocks of the selected channels, which `read` and `stream` check and resample.

Beside it, for training and features: `activity`, `augment`, `mel`; `encoding` writes recordings.
"""

from sonant.audio.ceiling import Ceiling
from sonant.audio.channels import Channel
from sonant.audio.duration import AudioInfo, duration, info
from sonant.audio.open_recording import num_channels
from sonant.audio.read import read, resample
from sonant.audio.segments import Segment
from sonant.audio.stream import AudioStream, blocks, open_stream
from sonant.audio.windows import Window, Windowing, cut, keep

__all__ = [
    "AudioInfo",
    "AudioStream",
    "Ceiling",
    "Channel",
    "Segment",
    "Window",
    "Windowing",
    "blocks",
    "cut",
    "duration",
    "info",
    "keep",
    "num_channels",
    "open_stream",
    "read",
    "resample",
]

"""Audio in: recordings of any kind as float32, their channels and durations, long recordings in blocks and windows.

What users call: `read`, `stream` (blocks), `duration`, `channels`, `ceiling` (limits for what comes from strangers),
`windows` (long recordings in overlapping pieces).

From what is given to samples, in the order in which a recording passes through:

1. `given`, `arrays`, `signatures`: what a recording may be given as; arrays of samples; arrays that hold a file.
2. `sources`, `borrowed`, `id3`, `spliced`: a path, bytes or file object as a binary file without the tags in front of
   it; file objects of the caller's; tags; parts of a file read as one.
3. `decode`: looks at the beginning of the file, and decides which of the following it needs.
4. What decoders get wrong is found before they begin. Uncompressed files: `headers`, `chunks`, `extent` (where the
   sound ends), `sizes` (of mp4 and others). Files that may hold several recordings, which a `layout` describes: `mp3`
   with `mpeg` (frames) and `mpeg_runs` (frames in a row), `ogg` with `ogg_pages`, `flac`, `adts`; they look at a file
   through `lookahead`.
5. `joined`, `libsndfile`, `ffmpeg`, `clock`, `matroska`: decoding, one recording behind another; the two decoders, as a
   `decoder`; lengths in the containers of FFmpeg.
6. `recording`: the blocks of the wanted channels, which `read` and `stream` check and resample.

Beside it, for training and features: `activity`, `augment`, `mel`.
"""

from sonant.audio.ceiling import Ceiling
from sonant.audio.channels import Channel
from sonant.audio.duration import duration
from sonant.audio.read import read, resample
from sonant.audio.recording import num_channels
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

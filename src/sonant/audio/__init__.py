"""Audio in: recordings of any kind as float32, their channels and durations, long recordings in blocks and windows."""

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

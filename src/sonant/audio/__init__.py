"""Audio in: recordings of any kind as mono float32, their durations, long recordings in blocks and windows."""

from sonant.audio.ceiling import Ceiling
from sonant.audio.duration import duration
from sonant.audio.read import read, resample
from sonant.audio.stream import blocks
from sonant.audio.windows import Window, Windowing, cut, keep, stitch

__all__ = ["Ceiling", "Window", "Windowing", "blocks", "cut", "duration", "keep", "read", "resample", "stitch"]

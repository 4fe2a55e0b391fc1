"""Audio in: recordings of any kind as mono float32, their durations, long recordings in blocks and windows."""

from sonant.audio.read import read, resample

__all__ = ["read", "resample"]

"""Waveform normalisation over a recording that is never held whole."""

import math

import numpy as np


class Loudness:
    """Mean and deviation of a whole recording, gathered from blocks of any size (Chan's running rule in float64)."""

    def __init__(self) -> None:
        self.mean = 0.0
        self._count, self._squares = 0, 0.0

    def update(self, samples: np.ndarray) -> None:
        """Take in the next samples."""
        if len(samples) == 0:
            return
        wide = samples.astype(np.float64)
        total, gap = self._count + len(wide), float(wide.mean()) - self.mean
        self._squares += float(np.square(wide - wide.mean()).sum()) + gap * gap * self._count * len(wide) / total
        self.mean += gap * len(wide) / total
        self._count = total

    @property
    def deviation(self) -> float:
        """Standard deviation, with the variance floor of fairseq's `layer_norm` over the waveform."""
        return math.sqrt(self._squares / max(self._count, 1) + 1e-5)

    def normalize(self, samples: np.ndarray) -> np.ndarray:
        """To zero mean and unit variance, as the whole recording has them."""
        return ((samples - self.mean) / self.deviation).astype(np.float32)


def normalized(samples: np.ndarray) -> np.ndarray:
    """A whole recording with zero mean and unit variance."""
    loudness = Loudness()
    loudness.update(samples)
    return loudness.normalize(samples)

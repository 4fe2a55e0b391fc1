"""Waveform normalization over a recording that is never held in memory as a whole."""

import math

import numpy as np


class Loudness:
    """Mean and deviation of a whole recording, gathered from blocks of any size (Chan's running rule in float64).

    Args:
        epsilon: added to the variance; the model's `normalize_epsilon`.
    """

    def __init__(self, epsilon: float) -> None:
        self.epsilon, self.mean = epsilon, 0.0
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
        """The root of the variance with its floor."""
        return math.sqrt(self._squares / max(self._count, 1) + self.epsilon)

    def normalize(self, samples: np.ndarray) -> np.ndarray:
        """Normalize samples by the mean and deviation of the whole recording."""
        # in float64, as the mean of a quiet recording with an offset is more than float32 can hold
        return (np.subtract(samples, self.mean, dtype=np.float64) / self.deviation).astype(np.float32)


def normalized(samples: np.ndarray, epsilon: float) -> np.ndarray:
    """Return a whole recording with zero mean and unit variance; `models.normalize_waveform` for an array."""
    loudness = Loudness(epsilon)
    loudness.update(samples)
    return loudness.normalize(samples)

"""Mean and variance of values that come in blocks of any size."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

A = TypeVar("A", float, NDArray[np.float64], Tensor)


@dataclass
class RunningMoments(Generic[A]):
    """Mean of the values so far, and sum of squared deviations from it (or of outer products of deviations).

    Values of another block (k, mean', squares') change those of n values (Chan, Golub and LeVeque 1983) by
        d = mean' - mean;  mean += d * k / (n + k);  squares += squares' + d**2 * n * k / (n + k).
    """

    mean: A
    squares: A
    count: int = 0

    def add(self, count: int, mean: A, squares: A, *, square: Callable[[A], A] | None = None) -> None:
        """Add a block of `count` >= 1 values; `square` replaces `d * d`, such as by an outer product."""
        total, gap = self.count + count, mean - self.mean
        apart = gap * gap if square is None else square(gap)
        self.squares = self.squares + squares + apart * (self.count * count / total)
        self.mean = self.mean + gap * (count / total)
        self.count = total

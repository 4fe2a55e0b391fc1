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
    """Mean of all values so far, and the sum of their squared distances from it.

    Source: Chan, Golub and LeVeque 1983, the pairwise update.

    Attributes:
        mean: a number, or an array of means.
        squares: likewise; or a matrix, where the outer products of distances are summed.
        count: the number of values.
    """

    mean: A
    squares: A
    count: int = 0

    def add(self, count: int, mean: A, squares: A, *, square: Callable[[A], A] | None = None) -> None:
        """Add `count` values, at least one, of this mean and these squares about it.

        `square` maps the distance between the two means to what `squares` sums: its square if None.
        """
        total, gap = self.count + count, mean - self.mean
        apart = gap * gap if square is None else square(gap)
        self.squares = self.squares + squares + apart * (self.count * count / total)
        self.mean = self.mean + gap * (count / total)
        self.count = total

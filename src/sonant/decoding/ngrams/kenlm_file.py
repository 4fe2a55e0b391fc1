"""A binary file of KenLM whose header has been read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sonant.decoding.ngrams.tables import LN10, UNKNOWN


@dataclass
class KenlmFile:
    """The bytes of a file, and where to read on.

    Attributes:
        path: of the file.
        data: all bytes.
        kind: as in the header.
        counts: numbers of n-grams of each order.
        multiplier: buckets of a hash table for each entry.
        at: the next byte to be read.
    """

    path: Path
    data: NDArray[np.uint8]
    kind: int
    counts: tuple[int, ...]
    multiplier: float
    at: int

    def records(self, kind: str, count: int) -> NDArray[np.void]:
        """Read records without gaps, whose fields are f0, f1 and so on. Raises ValueError if there are fewer."""
        dtype = np.dtype(kind)
        found = np.frombuffer(self.data, dtype, count, self.at)
        self.at += count * dtype.itemsize
        return found

    def words(self, count: int) -> list[str]:
        """Read the words, which are the rest. Raises ValueError if there is another number of them."""
        names = self.data[self.at :].tobytes().decode().split("\0")
        if len(names) != count + 1 or names[0] != UNKNOWN or names[-1]:
            raise ValueError(f"{len(names) - 1} words instead of {count}")
        return names[:-1]


def natural(logarithms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convert logarithms to base 10 to natural ones. Raises ValueError: NaN or infinite."""
    if not np.isfinite(logarithms).all():
        raise ValueError("a logarithm that is not finite")
    return (logarithms.astype(np.float64) * LN10).astype(np.float32)

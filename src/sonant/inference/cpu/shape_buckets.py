"""Shape buckets: rows are computed in pieces of a few sizes.

oneDNN compiles every product and convolution for its number of rows, half a megabyte of code each time, and keeps the
last thousand. Recordings have any length, so their rows are computed in pieces of a few sizes, the last one padded
with zeros. Memory then stops growing once all sizes have occurred, and new lengths need no compilation.
"""

from collections.abc import Callable
from math import ceil

import torch.nn.functional as F
from torch import Tensor

LARGEST_PIECE = 512  # rows of a product; more do not fit into the cache
# Up to the first number of rows, pieces are multiples of the second.
UNITS = ((32, 8), (64, 2), (128, 4), (256, 8), (LARGEST_PIECE, 16))
LARGEST_BLOCK = 512  # steps of a convolution


def pieces(count: int, largest: int, unit: int) -> list[int]:
    """Return the sizes of the fewest pieces that hold `count` rows: nearly equal multiples of `unit` up to `largest`.

    They exceed `count` by less than `unit` rows in total.
    """
    number, units = ceil(count / largest), ceil(count / unit)
    return [unit * ((units + place) // number) for place in range(number)]


def row_pieces(count: int) -> list[int]:
    """Return piece sizes for matrix products: 68 distinct ones; from 33 to 1000 rows, padding is 1.5 % on average."""
    unit = next((unit for most, unit in UNITS if count <= most), UNITS[-1][1])
    return pieces(count, LARGEST_PIECE, unit)


def step_pieces(count: int) -> list[int]:
    """Return piece sizes for convolutions, which have more shapes and less work in a model: 16 distinct ones."""
    return pieces(count, LARGEST_BLOCK, 32 if count <= LARGEST_BLOCK else 64)


def filled(rows: Tensor, count: int) -> Tensor:
    """Pad rows (rows, channels) with zeros to at least `count`."""
    return rows if len(rows) >= count else F.pad(rows, (0, 0, 0, count - len(rows)))


def in_pieces(compute: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """Apply `compute`, a function of each row alone, to (rows, in) in pieces: (rows, out)."""
    sizes = row_pieces(len(rows))
    if len(sizes) < 2:
        return compute(filled(rows, sum(sizes)))[: len(rows)]
    first = compute(rows[: sizes[0]])
    made = first.new_empty(len(rows), first.shape[1])
    made[: sizes[0]] = first
    start = sizes[0]
    for size in sizes[1:]:
        part = made[start : start + size]
        part.copy_(compute(filled(rows[start : start + size], size))[: len(part)])  # while it is in the cache
        start += size
    return made

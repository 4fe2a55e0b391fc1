"""Rows cut into pieces of few sizes.

oneDNN compiles every product and convolution for the number of rows that it is given, half a megabyte of code each
time, and keeps the last thousand. Recordings come in all lengths; so their rows are computed in pieces of few sizes,
the last one filled up with zeros, which are cut off again. Memory then stops growing once these sizes have been
met, and a recording of a new length waits for no compilation.
"""

from collections.abc import Callable
from math import ceil

import torch.nn.functional as F
from torch import Tensor

LARGEST_PIECE = 512  # rows of a product; more leave the cache
# Up to so many rows, pieces are multiples of the second number.
UNITS = ((32, 8), (64, 2), (128, 4), (256, 8), (LARGEST_PIECE, 16))
LARGEST_BLOCK = 512  # steps of a convolution


def pieces(count: int, largest: int, unit: int) -> list[int]:
    """Sizes of the fewest pieces that hold `count` rows: multiples of `unit`, none above `largest`, nearly equal.

    Together they have less than `unit` rows to spare.
    """
    number, units = ceil(count / largest), ceil(count / unit)
    return [unit * ((units + place) // number) for place in range(number)]


def row_pieces(count: int) -> list[int]:
    """Return the sizes of pieces for matrix products: 68 in all; from 33 to 1000 rows 1.5 % are to spare on average."""
    unit = next((unit for most, unit in UNITS if count <= most), UNITS[-1][1])
    return pieces(count, LARGEST_PIECE, unit)


def step_pieces(count: int) -> list[int]:
    """Return the sizes of pieces for convolutions, of which a model has more shapes, and less work: 16 in all."""
    return pieces(count, LARGEST_BLOCK, 32 if count <= LARGEST_BLOCK else 64)


def filled(rows: Tensor, count: int) -> Tensor:
    """Rows (rows, channels), and zeros behind them where there are fewer than `count`."""
    return rows if len(rows) >= count else F.pad(rows, (0, 0, 0, count - len(rows)))


def in_pieces(compute: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """Return what `compute` makes of each row of (rows, in), which depends on that row alone: (rows, out)."""
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

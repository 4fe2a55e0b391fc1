"""Absolute positions of tokens, added to embeddings: learned or sinusoidal."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.layers.packed import Packed, steps_at

FIRST_ROW = 2  # fairseq counts from after its padding symbol, 1: rows 0 and 1 of its tables are unused


class LearnedPositions(nn.Module):
    """A learned vector for each position, up to a maximum.

    Source: fairseq `modules/learned_positional_embedding.py`.
    """

    def __init__(self, max_positions: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(max_positions + FIRST_ROW, dim).normal_(0, 0.02))

    def forward(self, frames: Packed) -> Tensor:
        """(total, dim), to be added to the frames."""
        return F.embedding(places(frames), self.weight)


class SinusoidalPositions(nn.Module):
    """Sines, then cosines, of wavelengths from 2 pi to 20,000 pi; without weights and without a maximum.

    Source: fairseq `modules/sinusoidal_positional_embedding.py`, which follows tensor2tensor rather than the paper.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, frames: Packed) -> Tensor:
        """(total, dim), to be added to the frames."""
        return self.at(places(frames)).to(frames.values.dtype)

    def at(self, rows: Tensor) -> Tensor:
        """Return the vectors of rows (rows,), float32 (rows, dim); a sequence begins at row `FIRST_ROW`."""
        half = self.dim // 2
        rates = torch.exp(
            torch.arange(half, device=rows.device, dtype=torch.float32) * -(math.log(10_000) / (half - 1))
        )
        angles = rows[:, None].float() * rates
        return torch.cat([angles.sin(), angles.cos()], dim=1)


def places(frames: Packed) -> Tensor:
    """Return the row of each step in the table: int64 (total,), starting again in each clip."""
    return steps_at(torch.full_like(frames.lengths, FIRST_ROW), frames.lengths).to(frames.values.device)

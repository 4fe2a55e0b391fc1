"""Attention of the Conformer, with relative positions as in Transformer-XL or with rotary positions.

The frequencies are computed exactly as in the original code: a minute into a clip, another rounding would be an error
of 0.001 in the angle.
"""

import math

import torch
from torch import Tensor, nn

from sonant.layers.attention import attend
from sonant.layers.kernels.biases import RelativeProductBias
from sonant.layers.kernels.device import to_device
from sonant.layers.packed import Packed, steps_at


class Sinusoids(nn.Module):
    """Sinusoidal vectors of all distances between two frames of a clip; no weights.

    Source: Transformer-XL (arXiv 1901.02860, section 3.3); fairseq `modules/positional_encoding.py`,
    `RelPositionalEncoding`.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, frames: Packed) -> Tensor:
        """Return the table (2 * longest - 1, dim), in ascending order of key minus query."""
        reach, values = frames.longest, frames.values
        back = torch.arange(reach - 1, -reach, -1.0, dtype=_precise(values))  # distances back, query minus key
        turns = torch.exp(torch.arange(0, self.dim, 2, dtype=back.dtype) * -(math.log(10_000) / self.dim))
        angles = back[:, None] * turns
        return to_device(_interleaved(angles.sin(), angles.cos()), values.device).to(values.dtype)


class Rotations(nn.Module):
    """Cosines and sines of the rotary positions of frames; no weights.

    Source: RoFormer (arXiv 2104.09864); fairseq `modules/rotary_positional_embedding.py`.
    """

    def __init__(self, head_dim: int, *, base: int = 10_000) -> None:
        super().__init__()
        self.head_dim, self.base = head_dim, base

    def forward(self, frames: Packed) -> Tensor:
        """Return the table (2, total, head_dim / 2): cosines, sines."""
        values = frames.values
        place = steps_at(torch.zeros_like(frames.lengths), frames.lengths).to(_precise(values))
        angles = place[:, None] * rotary_frequencies(self.head_dim, self.base, place.dtype)
        return to_device(torch.stack([angles.cos(), angles.sin()]), values.device).to(values.dtype)


def rotary_frequencies(head_dim: int, base: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return the angle between consecutive frames for each pair of channels: (head_dim / 2,)."""
    return 1.0 / base ** (torch.arange(0, head_dim, 2, dtype=dtype) / head_dim)


def _precise(values: Tensor) -> torch.dtype:
    """Return float32 at least: in half precision, adjacent frames of a long clip would have the same angle."""
    return torch.promote_types(values.dtype, torch.float32)


def _interleaved(even: Tensor, odd: Tensor) -> Tensor:
    """Interleave two tensors (rows, dim / 2) as even and odd columns of (rows, dim)."""
    return torch.stack([even, odd], -1).flatten(-2)


class RelativeAttention(nn.Module):
    """Multi-head self-attention with the relative positions of Transformer-XL:

        logit[i, j] = ((q_i + content_bias) @ k_j + (q_i + position_bias) @ p_(j - i)) / sqrt(head_dim)

    where p_d is the projected sinusoidal vector of distance d.

    Attributes:
        position: projection of the sinusoidal vectors.
        content_bias, position_bias: (heads, head_dim), added to every query.
    """

    def __init__(self, dim: int, num_heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.query, self.key, self.value, self.output = (nn.Linear(dim, dim) for _ in range(4))
        self.position = nn.Linear(dim, dim, bias=False)
        self.content_bias, self.position_bias = (nn.Parameter(torch.empty(num_heads, dim // num_heads)) for _ in "uv")
        for bias in (self.content_bias, self.position_bias):
            nn.init.xavier_uniform_(bias)

    def forward(self, frames: Tensor, lengths: list[int], table: Tensor) -> Tensor:
        """(total, dim) to (total, dim); `table` is that of `Sinusoids`."""
        q, k, v = (linear(frames).unflatten(-1, (self.num_heads, -1)) for linear in (self.query, self.key, self.value))
        keys = self.position(table).unflatten(-1, (self.num_heads, -1))  # (2 * reach - 1, heads, head_dim)
        biased = (q + self.position_bias.to(q.dtype)) * q.shape[-1] ** -0.5
        bias = RelativeProductBias(biased, keys)
        dropout = self.dropout if self.training else 0.0
        mixed = attend(q + self.content_bias.to(q.dtype), k, v, lengths, bias, dropout=dropout)
        return self.output(mixed.flatten(1))


class RotaryAttention(nn.Module):
    """Multi-head self-attention with rotary positions, applied to the frames before projection to queries and keys.

    RoFormer rotates queries and keys instead; the published Conformers were trained with rotated frames.
    """

    def __init__(self, dim: int, num_heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.query, self.key, self.value, self.output = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, frames: Tensor, lengths: list[int], table: Tensor) -> Tensor:
        """(total, dim) to (total, dim); `table` is that of `Rotations`."""
        turned = rotated(frames, table, self.num_heads)
        q, k, v = (
            linear(x).unflatten(-1, (self.num_heads, -1))
            for linear, x in ((self.query, turned), (self.key, turned), (self.value, frames))
        )
        mixed = attend(q, k, v, lengths, dropout=self.dropout if self.training else 0.0)
        return self.output(mixed.flatten(1))


def rotated(frames: Tensor, table: Tensor, num_heads: int) -> Tensor:
    """Rotate channels i and i + head_dim / 2 of each head as a pair: (total, dim)."""
    cosines, sines = table[:, :, None].to(frames.dtype)  # (total, 1, head_dim / 2) each
    first, second = frames.unflatten(-1, (num_heads, 2, -1)).unbind(-2)  # (total, heads, head_dim / 2) each
    return torch.stack([first * cosines - second * sines, second * cosines + first * sines], -2).flatten(1)

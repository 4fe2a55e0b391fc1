"""Convolutions along the clips of a packed batch, with "same" zero padding."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.layers.kernels import triton_convolution
from sonant.layers.packed import Packed, lay_with_gaps


def convolve_clips(frames: Packed, weight: Tensor, bias: Tensor, groups: int) -> Tensor:
    """Convolve each clip, zero-padded to keep its length.

    Args:
        frames: (total, in).
        weight: (out, in / groups, kernel); tap `kernel // 2` is that of the frame itself.
        bias: (out,).
        groups: of channels.

    Returns:
        (total, out).
    """
    values, kernel = frames.values, weight.shape[2]
    dtype = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else values.dtype
    if triton_convolution.available(values, dtype, weight.shape[1]):
        values, weight, bias = (part.to(dtype) for part in (values, weight, bias))
        return triton_convolution.convolve(values, weight, bias, frames.sizes)
    before = kernel // 2
    stream, steps = lay_with_gaps(frames, before, kernel - 1 - before)
    moved = F.conv1d(stream.T[None], weight, bias, groups=groups)[0].T  # (steps, out)
    return moved.index_select(0, steps - before)


class ClipConv(nn.Module):
    """A grouped convolution with as many output as input channels."""

    def __init__(self, dim: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.kernel, self.groups = kernel, groups
        weight = torch.empty(dim, dim // groups, kernel).normal_(0, math.sqrt(4 / (kernel * dim)))
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(torch.zeros(dim))

    def forward(self, frames: Packed) -> Tensor:
        """(total, dim) to (total, dim)."""
        return convolve_clips(frames, self.weight, self.bias, self.groups)

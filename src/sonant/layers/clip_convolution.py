"""Convolutions along the clips of a packed batch, with "same" zero padding."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.layers.kernels import triton_convolution
from sonant.layers.kernels.tracing import is_traced
from sonant.layers.packed import Packed, lay_with_gaps

LONG_KERNEL = 64  # taps from which a gradient is faster by Fourier transforms: measured


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
    if _gains_by_transforms(values, weight):
        return _convolve_by_transforms(frames, weight, groups) + bias
    before = kernel // 2
    stream, steps = lay_with_gaps(frames, before, kernel - 1 - before)
    moved = F.conv1d(stream.T[None], weight, bias, groups=groups)[0].T  # (steps, out)
    return moved.index_select(0, steps - before)


def _gains_by_transforms(values: Tensor, weight: Tensor) -> bool:
    """Return whether gradients are wanted, on a CPU, of a long kernel that mixes channels."""
    wanted = torch.is_grad_enabled() and (values.requires_grad or weight.requires_grad)
    suited = weight.shape[1] > 1 and weight.shape[2] >= LONG_KERNEL and weight.dtype in {torch.float32, torch.float64}
    return wanted and suited and values.device.type == "cpu" and not is_traced()


def _convolve_by_transforms(frames: Packed, weight: Tensor, groups: int) -> Tensor:
    """Compute `convolve_clips` without bias, by Fourier transforms of overlapping blocks of each clip."""
    kernel = weight.shape[2]
    size, step = 2 * kernel, kernel + 1  # of a block, and of its outputs that have not wrapped around
    counts = [-(-length // step) for length in frames.sizes]
    with torch.autocast("cpu", enabled=False):
        segments = []
        for clip, count in zip(frames, counts, strict=True):
            behind = count * step - len(clip) + kernel - 1 - kernel // 2
            segments.append(F.pad(clip.to(weight.dtype), (0, 0, kernel // 2, behind)).unfold(0, size, step))
        spectra = torch.fft.rfft(torch.cat(segments))  # (blocks, in, kernel + 1)
        taps = torch.fft.rfft(weight, size)  # (out, in / groups, kernel + 1)
        spectra = spectra.unflatten(1, (groups, -1)).permute(3, 1, 0, 2).flatten(0, 1)
        taps = taps.unflatten(0, (groups, -1)).permute(3, 0, 2, 1).flatten(0, 1)
        moved = torch.bmm(spectra, taps.conj())  # ((kernel + 1) * groups, blocks, out / groups)
        moved = moved.unflatten(0, (-1, groups)).permute(2, 1, 3, 0).flatten(1, 2)  # (blocks, out, kernel + 1)
        made = torch.fft.irfft(moved, size)[..., :step].transpose(1, 2)  # (blocks, step, out)
    clips = zip(made.split(counts), frames.sizes, strict=True)
    return torch.cat([blocks.flatten(0, 1)[:length] for blocks, length in clips])


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

"""The extractor's convolutions on a CPU, as matrix products of views of the rows: forward and backward without copies.

A clip is (steps, channels), so that a window of neighboring steps is one stretch of memory.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sonant.layers.clip_statistics import EPS


def convolve_rows(rows: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """Convolve without padding: (steps, in) to (fewer steps, out).

    Args:
        weight: (out, in, kernel).
        bias: (out,).
    """
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        rows, weight, bias = rows.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
    made: Tensor = _RowConvolution.apply(rows, weight, bias, stride)
    return made


class _RowConvolution(torch.autograd.Function):
    """Taps are taken `stride` at a time: their rows lie side by side, and no row is in two windows of such a group."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
        rows = rows.contiguous()
        steps = (len(rows) - weight.shape[2]) // stride + 1
        taps = weight.transpose(1, 2).contiguous()  # (out, kernel, in)
        made = rows.new_empty(steps, len(weight))
        for first in range(0, weight.shape[2], stride):
            group = taps[:, first : first + stride].flatten(1)
            seen = _windows(rows, first, steps, stride, group.shape[1])
            if first > 0:
                made.addmm_(seen, group.T)
            elif bias is None:
                torch.mm(seen, group.T, out=made)
            else:
                torch.addmm(bias, seen, group.T, out=made)
        ctx.save_for_backward(rows, taps)
        ctx.stride = stride
        return made

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, taps = ctx.saved_tensors
        gradient, kernel, stride = gradient.contiguous(), taps.shape[1], ctx.stride
        of_rows = torch.empty_like(rows) if ctx.needs_input_grad[0] else None
        of_taps = torch.empty_like(taps) if ctx.needs_input_grad[1] else None
        if of_rows is not None:
            if kernel < stride:
                of_rows.zero_()
            else:
                of_rows[len(gradient) * stride :] = 0
        for first in range(0, kernel, stride):
            group = taps[:, first : first + stride].flatten(1)
            if of_taps is not None:
                seen = _windows(rows, first, len(gradient), stride, group.shape[1])
                of_taps[:, first : first + stride] = torch.mm(gradient.T, seen).unflatten(1, (-1, rows.shape[1]))
            if of_rows is not None:
                into = _windows(of_rows, first, len(gradient), stride, group.shape[1])
                if first == 0:
                    torch.mm(gradient, group, out=into)
                else:
                    into.addmm_(gradient, group)
        of_bias = gradient.sum(0) if ctx.needs_input_grad[2] else None
        return of_rows, None if of_taps is None else of_taps.transpose(1, 2), of_bias, None


def _windows(rows: Tensor, first: int, steps: int, stride: int, width: int) -> Tensor:
    """View of rows (rows, channels): `width` values from row `first + stride * step` on, (steps, width)."""
    channels = rows.shape[1]
    return rows.as_strided((steps, width), (stride * channels, 1), rows.storage_offset() + first * channels)


def convolve_normalized(samples: Tensor, conv: nn.Conv1d, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve a clip (samples,) and normalize each channel over its steps, by one product: (steps, channels).

    The output of a kernel w on windows of mean m and covariance C has mean w.m and variance w.C.w, so that the norm
    scales the kernel (see `ConvStatistics`), and its gradient is that of this formula. The clip itself gets none.

    Args:
        weight, bias: (channels,), of the group norm.
    """
    (kernel,), (stride,) = conv.kernel_size, conv.stride
    centered = samples.detach().double()
    centered = centered - centered.mean()  # an offset of the clip is one of each channel, which the norm removes
    windows = centered.unfold(0, kernel, stride)  # (steps, kernel)
    mean = windows.mean(0)
    covariance = windows.T @ windows / len(windows) - mean.outer(mean)
    taps = conv.weight[:, 0].double()  # (channels, kernel)
    factor = weight.double() * ((taps @ covariance * taps).sum(1) + EPS).rsqrt()
    offset = bias.double() - factor * (taps @ mean)
    if conv.bias is not None:
        offset = offset + 0 * conv.bias  # the norm removes it: its gradient is zero
    dtype = conv.weight.dtype
    with torch.autocast("cpu", enabled=False):
        return F.linear(windows.to(dtype), (taps * factor[:, None]).to(dtype), offset.to(dtype))

"""Grouped convolutions for inference on a CPU."""

from functools import cache, partial
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.inference.cpu.linear import FloatPrecision
from sonant.inference.cpu.onednn_layout import OneDNNLayout
from sonant.inference.cpu.timing import seconds
from sonant.layers.kernels.activations import Activation, activation

LAID_OUT_STEPS = 256  # output steps that weights are laid out for; the trial checks that other lengths are as fast
# Steps, channels, groups and kernel of the timed convolutions: 1 ms in float32; other steps than above.
TRIAL = (49, 96, 2, 128)
# Largest relative difference of results (ratio of norms): sums of 6144 products.
TOLERANCE: dict[FloatPrecision, float] = {"float32": 1e-5, "bfloat16": 1e-2}
PLACE = ([0, 0], [1, 1], [1, 1])  # padding, stride and dilation


class GroupedConvolution(nn.Module):
    """A grouped convolution of stride 1 without padding, and its activation.

    "bfloat16" is used only where oneDNN has a fast implementation.

    Args:
        weight: (out, in / groups, kernel).
        bias: (out,).
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        groups: int,
        *,
        precision: FloatPrecision,
        activation: Activation | None = None,
    ) -> None:
        super().__init__()
        self.kernel = weight.shape[2]
        weight, bias = weight.detach(), None if bias is None else bias.detach()
        self.dtype = torch.bfloat16 if precision == "bfloat16" and reordered_serves("bfloat16") else torch.float32
        kind = OneDNNConvolution if reordered_serves("float32") else PlainConvolution
        self.convolve: Convolve = kind(weight.to(self.dtype), bias, groups, activation)

    def forward(self, rows: Tensor) -> Tensor:
        """(steps, in) to (steps - kernel + 1, out)."""
        return self.convolve(rows.to(self.dtype))


class Convolve(Protocol):
    """A grouped convolution with its activation."""

    def __call__(self, rows: Tensor) -> Tensor:
        """(steps, in) to (fewer steps, out)."""


class PlainConvolution:
    """A grouped convolution by PyTorch."""

    def __init__(self, weight: Tensor, bias: Tensor | None, groups: int, name: Activation | None) -> None:
        self.weight, self.bias, self.groups = weight, None if bias is None else bias.to(weight.dtype), groups
        self.activation = None if name is None else activation(name)

    def __call__(self, rows: Tensor) -> Tensor:
        made = F.conv1d(rows.T[None], self.weight, self.bias, groups=self.groups)[0].T
        return made if self.activation is None else self.activation(made)


class OneDNNConvolution(OneDNNLayout):
    """A grouped convolution by oneDNN, with reordered weights and fused activation.

    Its inputs are padded already: with padding by oneDNN, the layout would depend on the length, and other lengths
    could select a much slower implementation.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, groups: int, name: Activation | None) -> None:
        self.groups, self.activation = groups, name or "none"
        self.bias = None if bias is None else bias.to(weight.dtype)
        steps, channels = LAID_OUT_STEPS + weight.shape[2] - 1, weight.shape[1] * groups
        self.weight = torch.ops.mkldnn._reorder_convolution_weight(  # noqa: SLF001
            weight[:, :, None].contiguous(memory_format=torch.channels_last), *PLACE, groups, [1, channels, 1, steps]
        )

    def __call__(self, rows: Tensor) -> Tensor:
        made = torch.ops.mkldnn._convolution_pointwise(  # noqa: SLF001
            rows.T[None, :, None], self.weight, self.bias, *PLACE, self.groups, self.activation, [], "none"
        )  # (1, out, 1, fewer steps), rows still contiguous
        return made[0, :, 0].T


@cache
def reordered_serves(precision: FloatPrecision) -> bool:
    """Return whether the oneDNN convolution exists, is correct, and is not clearly slower than PyTorch in float32.

    The margin keeps the answer the same in every run where both are about as fast: the last bits depend on it.
    """
    steps, channels, groups, kernel = TRIAL
    generator = torch.Generator().manual_seed(0)
    draw = partial(torch.randn, generator=generator, dtype=torch.float32)
    weight = draw(channels, channels // groups, kernel) * (channels * kernel) ** -0.5
    rows = draw(steps + kernel - 1, channels)
    dtype = getattr(torch, precision)
    plain, given = PlainConvolution(weight, None, groups, "gelu"), rows.to(dtype)
    try:
        reordered = OneDNNConvolution(weight.to(dtype), None, groups, "gelu")
        expected = plain(rows)
        difference = reordered(given).double() - expected
    except (AttributeError, RuntimeError):  # missing in this build of PyTorch, or for this processor
        return False
    if not difference.norm() <= TOLERANCE[precision] * expected.norm():
        return False
    slow, fast = seconds(partial(plain, rows), partial(reordered, given))
    return fast <= 1.25 * slow

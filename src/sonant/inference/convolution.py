"""Convolutions over rows of channels, for inference on a CPU."""

from functools import cache, partial
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.inference.linear import FloatPrecision, PreparedLinear, seconds
from sonant.inference.reordered import Reordered
from sonant.layers.activations import Activation, activation

LAID_OUT_STEPS = 256  # of the output that weights are laid out for; others run as fast where the trial says so
# Steps, channels, groups and kernel of the convolutions that are timed: 1 ms in float32, and not the steps above.
TRIAL = (49, 96, 2, 128)
# By how much they may differ, the norm of the difference over the norm of the result: sums of 6144 products.
TOLERANCE: dict[FloatPrecision, float] = {"float32": 1e-5, "bfloat16": 1e-2}
PLACE = ([0, 0], [1, 1], [1, 1])  # padding, stride and dilation


class Convolution(nn.Module):
    """A convolution without padding: a linear map of the windows, which are a view of the rows, and its activation.

    Args:
        weight: (out, in, kernel).
        bias: (out,).
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        stride: int,
        *,
        precision: FloatPrecision,
        activation: Activation | None = None,
    ) -> None:
        super().__init__()
        self.kernel, self.stride = weight.shape[2], stride
        self.dtype: torch.dtype = getattr(torch, precision)
        taps = weight.detach().transpose(1, 2).flatten(1)  # (out, kernel * in)
        self.linear = PreparedLinear(taps, bias, precision=precision, activation=activation)

    def forward(self, rows: Tensor) -> Tensor:
        """(steps, in) to (fewer steps, out)."""
        windows = rows.to(self.dtype).unfold(0, self.kernel, self.stride)  # (fewer steps, in, kernel)
        return self.linear(windows.transpose(1, 2).flatten(1))


class PairedConvolution(nn.Module):
    """One of kernel 3 and stride 2 in float32, two outputs with five products instead of six.

    With taps a, b, c both outputs see the row between them, which the two even rows beside it are taken from:

        y[2j]     = a (x[4j] - x[4j+2]) + b x[4j+1] + m        m = (a + c) x[4j+2]
        y[2j + 1] = b x[4j+3] + c (x[4j+4] - x[4j+2]) + m

    Source: Winograd's F(2, 2), Arithmetic Complexity of Computations (1980), for the even rows.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, name: Activation | None = None) -> None:
        super().__init__()
        first, middle, last = weight.detach().float().unbind(2)  # (out, in) each
        self.even = PreparedLinear(torch.cat([first, middle], 1), None, precision="float32")
        self.odd = PreparedLinear(torch.cat([middle, last], 1), None, precision="float32")
        self.shared = PreparedLinear(first + last, bias, precision="float32")
        self.activation = None if name is None else activation(name)

    def forward(self, rows: Tensor) -> Tensor:
        """(steps, in) to ((steps - 1) // 2, out)."""
        steps, channels = (len(rows) - 1) // 2, rows.shape[1]
        pairs, whole = (steps + 1) // 2, steps // 2  # the last pair may lack its odd half
        between = rows[2::4][:pairs]
        shared = self.shared(between)  # (pairs, out)
        out = rows.new_empty(steps, shared.shape[1])
        seen = rows.new_empty(pairs, 2 * channels)
        left, right = seen.split(channels, 1)
        torch.sub(rows[0::4][:pairs], between, out=left)
        right.copy_(rows[1::4][:pairs])
        torch.add(self.even(seen), shared, out=out[0::2])
        left[:whole] = rows[3::4][:whole]
        torch.sub(rows[4::4][:whole], between[:whole], out=right[:whole])
        torch.add(self.odd(seen[:whole]), shared[:whole], out=out[1::2])
        return out if self.activation is None else self.activation(out)


class GroupedConvolution(nn.Module):
    """One in groups of channels, stride 1 and no padding, and its activation.

    In "bfloat16" only where oneDNN has such a convolution and gains by it.

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
        self.dtype = torch.bfloat16 if precision == "bfloat16" and reordered_gains("bfloat16") else torch.float32
        kind = ReorderedConvolution if reordered_gains("float32") else PlainConvolution
        self.convolve: Convolve = kind(weight.to(self.dtype), bias, groups, activation)

    def forward(self, rows: Tensor) -> Tensor:
        """(steps, in) to (steps - kernel + 1, out)."""
        return self.convolve(rows.to(self.dtype))


class Convolve(Protocol):
    """A convolution in groups with its activation."""

    def __call__(self, rows: Tensor) -> Tensor:
        """(steps, in) to (fewer steps, out)."""


class PlainConvolution:
    """torch's own."""

    def __init__(self, weight: Tensor, bias: Tensor | None, groups: int, name: Activation | None) -> None:
        self.weight, self.bias, self.groups = weight, None if bias is None else bias.to(weight.dtype), groups
        self.activation = None if name is None else activation(name)

    def __call__(self, rows: Tensor) -> Tensor:
        made = F.conv1d(rows.T[None], self.weight, self.bias, groups=self.groups)[0].T
        return made if self.activation is None else self.activation(made)


class ReorderedConvolution(Reordered):
    """oneDNN's, of weights in the order that it prefers on this machine, the activation fused.

    Laid out for inputs that are padded already: with padding inside, the order depends on the length, and another
    length can fall on an implementation that is slower by far.
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
        )  # (1, out, 1, fewer steps), rows still behind one another
        return made[0, :, 0].T


@cache
def reordered_gains(precision: FloatPrecision) -> bool:
    """Whether oneDNN's convolution exists here in that arithmetic, is right, and is faster than torch's in float32."""
    steps, channels, groups, kernel = TRIAL
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(channels, channels // groups, kernel, generator=generator) * (channels * kernel) ** -0.5
    rows = torch.randn(steps + kernel - 1, channels, generator=generator)
    dtype = getattr(torch, precision)
    plain, given = PlainConvolution(weight, None, groups, "gelu"), rows.to(dtype)
    try:
        reordered = ReorderedConvolution(weight.to(dtype), None, groups, "gelu")
        expected = plain(rows)
        difference = reordered(given).double() - expected
    except (AttributeError, RuntimeError):  # not in this build of torch, or not for this processor
        return False
    if not difference.norm() <= TOLERANCE[precision] * expected.norm():
        return False
    slow, fast = seconds(partial(plain, rows), partial(reordered, given))
    return fast < slow

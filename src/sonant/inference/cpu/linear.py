"""Linear layers for inference on a CPU: weights laid out once, products in a given precision.

PyTorch multiplies float32 by its BLAS, which on some processors is half as fast as oneDNN with reordered weights. The
faster one is found by measurement. The operators for reordered weights are not public, so that they are tried before
they are used. `arithmetic` chooses the precision.
"""

from functools import cache, partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.inference.cpu.onednn_layout import OneDNNLayout
from sonant.inference.cpu.shape_buckets import LARGEST_PIECE, in_pieces
from sonant.inference.cpu.smoothing import Peaks, smoothing_factors
from sonant.inference.cpu.timing import seconds
from sonant.layers.kernels.activations import Activation, activation
from sonant.layers.kernels.int8 import Int8Rows, Sums, dequantize, quantize, requantize
from sonant.layers.transformer import FeedForward

FloatPrecision = Literal["float32", "bfloat16"]
LinearPrecision = Literal["float32", "bfloat16", "int8"]

# Shape (rows, in, out) of the timed products: a short clip in a base model, 1.5 ms in float32.
TRIAL = (128, 768, 768)
# Largest relative difference of two products (ratio of norms).
TOLERANCE: dict[FloatPrecision, float] = {"float32": 1e-6, "bfloat16": 1e-2}


class PlainProduct:
    """A linear layer by PyTorch."""

    def __init__(self, weight: Tensor, bias: Tensor | None, name: Activation | None) -> None:
        self.weight, self.bias = weight, bias
        self.activation = None if name is None else activation(name)

    def __call__(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.weight, self.bias)
        return y if self.activation is None else self.activation(y)


class OneDNNProduct(OneDNNLayout):
    """A linear layer by oneDNN, with reordered weights and fused activation."""

    def __init__(self, weight: Tensor, bias: Tensor | None, name: Activation | None) -> None:
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), LARGEST_PIECE)  # noqa: SLF001
        self.bias, self.activation = bias, name or "none"

    def __call__(self, x: Tensor) -> Tensor:
        # "none" is the exact GELU, by the error function
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, self.activation, [], "none")  # noqa: SLF001


class IntegerProduct:
    """An int8 product with a scale for each row of the input and each column of the weight.

    Args:
        dtype: of the output.
        peaks: (in,), largest magnitude of each input channel, for smoothing; None: no smoothing.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        name: Activation | None,
        dtype: torch.dtype = torch.bfloat16,
        *,
        peaks: Tensor | None = None,
    ) -> None:
        factors = None if peaks is None else smoothing_factors(peaks, weight)
        self.shrink = None if factors is None else 1 / factors  # of the input's channels
        steps, self.scales = quantize(weight, factors)
        self.weight = steps.T.clone(memory_format=torch.contiguous_format)  # (in, out)
        self.bias = weight.new_zeros(len(weight)) if bias is None else bias
        self.activation, self.dtype = name, dtype

    def __call__(self, x: Tensor | Int8Rows) -> Tensor:
        return dequantize(self._sums(x), self.dtype)

    def before(self, following: "IntegerProduct", x: Tensor | Int8Rows) -> Int8Rows:
        """Return the product, requantized as input of the product that follows."""
        return requantize(self._sums(x), following.shrink)

    def _sums(self, x: Tensor | Int8Rows) -> Sums:
        rows = x if isinstance(x, Int8Rows) else quantize(x, self.shrink)
        sums = torch._int_mm(rows.values, self.weight)  # noqa: SLF001 - the only product of integers that torch has
        return Sums(sums, rows.scales, self.scales, self.bias, self.activation)


def linear_product(
    weight: Tensor,
    bias: Tensor | None,
    precision: LinearPrecision,
    name: Activation | None = None,
    *,
    beside: FloatPrecision = "bfloat16",
    peaks: Tensor | None = None,
) -> PlainProduct | OneDNNProduct | IntegerProduct:
    """Return the fastest product on this machine for weights (out, in).

    Args:
        beside: precision of the output of an int8 product.
        peaks: (in,), largest magnitudes of the input of an int8 product, see `smoothing_factors`.
    """
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    weight, bias = weight.detach().to(dtype), None if bias is None else bias.detach().to(dtype)
    if precision == "int8":
        return IntegerProduct(weight, bias, name, getattr(torch, beside), peaks=peaks)
    kind = OneDNNProduct if reordered_is_faster(precision) else PlainProduct
    return kind(weight, bias, name)


class CpuLinear(nn.Module):
    """A linear layer and its activation, if any; it has no parameters, and its device and dtype are fixed.

    Args:
        weight: (out, in).
        bias: (out,).
        precision: of the product.
        beside, peaks: as in `linear_product`.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        *,
        precision: LinearPrecision,
        beside: FloatPrecision = "bfloat16",
        peaks: Tensor | None = None,
        activation: Activation | None = None,
    ) -> None:
        super().__init__()
        self.precision, self.dtype = precision, _dtype_given(precision, beside)
        self.product = linear_product(weight, bias, precision, activation, beside=beside, peaks=peaks)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, in) in float32 or bfloat16 to (rows, out) in `precision`, or in `beside` for int8."""
        return in_pieces(self.product, x if self.precision == "int8" else x.to(self.dtype))

    def extra_repr(self) -> str:
        return f"precision={self.precision!r}"


class CpuFeedForward(nn.Module):
    """Linear, activation, linear, in pieces of rows; in "int8", values between the products are int8 only."""

    def __init__(
        self,
        block: FeedForward,
        *,
        precision: LinearPrecision,
        beside: FloatPrecision = "bfloat16",
        peaks: Peaks | None = None,
    ) -> None:
        super().__init__()
        self.precision, self.dtype = precision, _dtype_given(precision, beside)
        (first, second), make = peaks or (None, None), partial(linear_product, precision=precision, beside=beside)
        self.inner = make(block.inner.weight, block.inner.bias, name=block.activation, peaks=first)
        self.outer = make(block.outer.weight, block.outer.bias, peaks=second)

    def forward(self, frames: Tensor) -> Tensor:
        """(rows, dim) to (rows, dim), of the dtype of `CpuLinear`."""
        return in_pieces(self._block, frames)

    def _block(self, frames: Tensor) -> Tensor:
        if isinstance(self.inner, IntegerProduct) and isinstance(self.outer, IntegerProduct):
            return self.outer(self.inner.before(self.outer, frames))
        return self.outer(self.inner(frames.to(self.dtype)))

    def extra_repr(self) -> str:
        return f"precision={self.precision!r}"


def _dtype_given(precision: LinearPrecision, beside: FloatPrecision) -> torch.dtype:
    """Return the dtype of the output of a product in a precision."""
    dtype: torch.dtype = getattr(torch, beside if precision == "int8" else precision)
    return dtype


@cache
def integers_are_exact() -> bool:
    """Return whether int8 products are exact: a processor without VNNI may saturate."""
    largest = torch.full((16, 512), 127, dtype=torch.int8)
    return all(
        torch._int_mm(largest, sign * largest.T).eq(sign * 127**2 * 512).all()  # noqa: SLF001
        for sign in (1, -1)
    )


@cache
def reordered_is_faster(precision: FloatPrecision) -> bool:
    """Return whether the oneDNN product exists, is correct, and is not clearly slower than PyTorch.

    The margin keeps the answer the same in every run where both are about as fast: the last bits depend on it.
    """
    dtype = getattr(torch, precision)
    x, weight, bias = (tensor.to(dtype) for tensor in trial())
    plain = PlainProduct(weight, bias, "gelu")
    try:
        reordered = OneDNNProduct(weight, bias, "gelu")
        given, expected = reordered(x).double(), plain(x).double()
    except (AttributeError, RuntimeError):  # missing in this build of PyTorch, or for this processor
        return False
    if not (given - expected).norm() <= TOLERANCE[precision] * expected.norm():
        return False
    slow, fast = seconds(partial(plain, x), partial(reordered, x))
    return fast <= 1.25 * slow


def trial() -> tuple[Tensor, Tensor, Tensor]:
    """Input, weight and bias for a measurement."""
    rows, given, made = TRIAL
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    x, weight = draw(rows, given), draw(made, given)
    return x, weight * given**-0.5, draw(made)

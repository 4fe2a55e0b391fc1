"""Linear layers for inference on a CPU: weights laid out once, products in the arithmetic that was asked for.

PyTorch multiplies float32 by its BLAS, which on some processors reaches half of what oneDNN does on weights that it has
put in its own order. What is faster here is measured, never guessed from the processor's name; the operators behind the
reordered weights are not public and are tried before they are relied on.
"""

import math
import time
from collections.abc import Callable
from functools import cache, partial
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.inference.reordered import Reordered
from sonant.layers.activations import Activation, activation
from sonant.layers.transformer import FeedForward

FloatPrecision = Literal["float32", "bfloat16"]

# A feed-forward block is computed for so many rows at a time: what lies between its two products stays in the cache.
BLOCK_ROWS = 512
# Shape (rows, in, out) of the products that are timed: a short clip in a base model, 1.5 ms in float32.
TRIAL = (128, 768, 768)
# By how much two products may differ, the norm of the difference over the norm of the product.
TOLERANCE: dict[FloatPrecision, float] = {"float32": 1e-6, "bfloat16": 1e-2}


class Product(Protocol):
    """A linear map with its activation."""

    def __call__(self, x: Tensor) -> Tensor:
        """(rows, in) to (rows, out)."""


class PlainProduct:
    """torch's own linear map."""

    def __init__(self, weight: Tensor, bias: Tensor | None, name: Activation | None) -> None:
        self.weight, self.bias = weight, bias
        self.activation = None if name is None else activation(name)

    def __call__(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.weight, self.bias)
        return y if self.activation is None else self.activation(y)


class ReorderedProduct(Reordered):
    """oneDNN's, of weights in the order that it prefers on this machine, the activation fused."""

    def __init__(self, weight: Tensor, bias: Tensor | None, name: Activation | None) -> None:
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), BLOCK_ROWS)  # noqa: SLF001
        self.bias, self.activation = bias, name or "none"

    def __call__(self, x: Tensor) -> Tensor:
        # "none" is the exact GELU, by the error function
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, self.activation, [], "none")  # noqa: SLF001


def float_product(
    weight: Tensor, bias: Tensor | None, precision: FloatPrecision, name: Activation | None = None
) -> Product:
    """The faster of both on this machine, for weights (out, in)."""
    dtype = getattr(torch, precision)
    weight, bias = weight.detach().to(dtype), None if bias is None else bias.detach().to(dtype)
    kind = ReorderedProduct if reordered_is_faster(precision) else PlainProduct
    return kind(weight, bias, name)


class PreparedLinear(nn.Module):
    """A linear map and its activation, if any; it holds no parameters, and its device and type are fixed.

    Args:
        weight: (out, in).
        bias: (out,).
        precision: the arithmetic of the product.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        *,
        precision: FloatPrecision,
        activation: Activation | None = None,
    ) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.precision, self.activation = precision, activation
        self.dtype = torch.float32 if precision == "float32" else torch.bfloat16
        self.product = float_product(weight, bias, precision, activation)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, in) in float32 or bfloat16 to (rows, out), float32 if that is the precision, else bfloat16."""
        return self.product(x.to(self.dtype))

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, precision={self.precision}, activation={self.activation}"


class PreparedFeedForward(nn.Module):
    """Linear, activation, linear, some rows at a time."""

    def __init__(self, block: FeedForward, *, precision: FloatPrecision) -> None:
        super().__init__()
        self.inner = PreparedLinear(
            block.inner.weight, block.inner.bias, precision=precision, activation=block.activation
        )
        self.outer = PreparedLinear(block.outer.weight, block.outer.bias, precision=precision)

    def forward(self, frames: Tensor) -> Tensor:
        """(rows, dim) to (rows, dim), typed as by `PreparedLinear`."""
        return in_blocks(lambda rows: self.outer(self.inner(rows)), frames, self.outer.out_features, self.outer.dtype)


def in_blocks(compute: Callable[[Tensor], Tensor], x: Tensor, width: int, dtype: torch.dtype) -> Tensor:
    """What `compute` makes of the rows (rows, in): (rows, width), as equal blocks of not many more than BLOCK_ROWS."""
    if len(x) <= 2 * BLOCK_ROWS:
        return compute(x)
    result = x.new_empty(len(x), width, dtype=dtype)
    for given, made in zip(
        x.tensor_split(len(x) // BLOCK_ROWS), result.tensor_split(len(x) // BLOCK_ROWS), strict=True
    ):
        made.copy_(compute(given))
    return result


@cache
def has_bfloat16() -> bool:
    """Whether this machine multiplies bfloat16 clearly faster than float32."""
    return gains("bfloat16")


@cache
def reordered_is_faster(precision: FloatPrecision) -> bool:
    """Whether oneDNN's product of reordered weights exists here, is right, and is no slower than torch's own."""
    dtype = getattr(torch, precision)
    x, weight, bias = (tensor.to(dtype) for tensor in trial())
    plain = PlainProduct(weight, bias, "gelu")
    try:
        reordered = ReorderedProduct(weight, bias, "gelu")
        given, expected = reordered(x).double(), plain(x).double()
    except (AttributeError, RuntimeError):  # not in this build of torch, or not for this processor
        return False
    if not (given - expected).norm() <= TOLERANCE[precision] * expected.norm():
        return False
    slow, fast = seconds(partial(plain, x), partial(reordered, x))
    return fast <= slow


def gains(precision: FloatPrecision) -> bool:
    """Whether a product of that kind takes at most three quarters of the time of one in float32."""
    x, weight, bias = trial()
    given, slow = (PreparedLinear(weight, bias, precision=kind) for kind in (precision, "float32"))
    fast_seconds, slow_seconds = seconds(partial(given, x), partial(slow, x))
    return fast_seconds < 0.75 * slow_seconds


def trial() -> tuple[Tensor, Tensor, Tensor]:
    """Input, weight and bias for a measurement."""
    rows, given, made = TRIAL
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(count, given, generator=generator) for count in (rows, made))
    return x, weight * given**-0.5, torch.randn(made, generator=generator)


@torch.no_grad()
def seconds(*calls: Callable[[], object]) -> list[float]:
    """The time of each, the best of a few turns: what disturbs a measurement only ever makes it longer."""
    best = [math.inf] * len(calls)
    for turn in range(5):
        for number, call in enumerate(calls):
            start = time.perf_counter()
            call()
            taken = time.perf_counter() - start
            if turn:  # the first only warms up
                best[number] = min(best[number], taken)
    return best

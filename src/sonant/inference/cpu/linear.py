"""Linear layers for inference on a CPU: weights laid out once, products in the arithmetic that was asked for.

PyTorch multiplies float32 by its BLAS, which on some processors reaches half of what oneDNN does on weights that it has
put in its own order. What is faster here is measured, never guessed from the processor's name; the operators behind the
reordered weights are not public and are tried before they are relied on. Lesser precision is for processors that say
that they have the instructions, and for those, which torch cannot ask, where it is measured to be faster.
"""

import math
import sys
import time
from collections.abc import Callable
from functools import cache, partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.inference.cpu.few_sizes import LARGEST_PIECE, in_pieces
from sonant.inference.cpu.reordered import Reordered
from sonant.layers.activations import Activation, activation
from sonant.layers.kernels.compiled import compiled
from sonant.layers.kernels.int8 import Quantised, Sums, dequantise, quantise, requantise
from sonant.layers.transformer import FeedForward

FloatPrecision = Literal["float32", "bfloat16"]
LinearPrecision = Literal["float32", "bfloat16", "int8"]

# Shape (rows, in, out) of the products that are timed: a short clip in a base model, 1.5 ms in float32.
TRIAL = (128, 768, 768)
# By how much two products may differ, the norm of the difference over the norm of the product.
TOLERANCE: dict[FloatPrecision, float] = {"float32": 1e-6, "bfloat16": 1e-2}
# torch's questions to the processor, x86 alone: those of its versions that lack one take the answer for no.
QUESTIONS: dict[LinearPrecision, tuple[str, ...]] = {
    "bfloat16": ("_is_avx512_bf16_supported", "_is_amx_tile_supported"),
    "int8": ("_is_vnni_supported", "_is_amx_tile_supported"),
}
# The time of this thread, which a busy machine hardly changes; Windows counts it in steps of 16 ms.
clock = time.perf_counter if sys.platform == "win32" else time.thread_time


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
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), LARGEST_PIECE)  # noqa: SLF001
        self.bias, self.activation = bias, name or "none"

    def __call__(self, x: Tensor) -> Tensor:
        # "none" is the exact GELU, by the error function
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, self.activation, [], "none")  # noqa: SLF001


class IntegerProduct:
    """A product of integers of eight bits: each row, and each column of the weights, in steps of its own."""

    def __init__(self, weight: Tensor, bias: Tensor | None, name: Activation | None) -> None:
        steps, self.scales = quantise(weight)
        self.weight = steps.T.clone(memory_format=torch.contiguous_format)  # (in, out)
        self.bias = weight.new_zeros(len(weight)) if bias is None else bias
        self.activation = name

    def __call__(self, x: Tensor | Quantised) -> Tensor:
        return dequantise(self._sums(x), torch.bfloat16)

    def quantised(self, x: Tensor | Quantised) -> Quantised:
        """The same, ready for the next product."""
        return requantise(self._sums(x))

    def _sums(self, x: Tensor | Quantised) -> Sums:
        rows = x if isinstance(x, Quantised) else quantise(x)
        sums = torch._int_mm(rows.values, self.weight)  # noqa: SLF001 - the only product of integers that torch has
        return Sums(sums, rows.scales, self.scales, self.bias, self.activation)


def linear_product(
    weight: Tensor, bias: Tensor | None, precision: LinearPrecision, name: Activation | None = None
) -> PlainProduct | ReorderedProduct | IntegerProduct:
    """The fastest on this machine, for weights (out, in)."""
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    weight, bias = weight.detach().to(dtype), None if bias is None else bias.detach().to(dtype)
    if precision == "int8":
        return IntegerProduct(weight, bias, name)
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
        precision: LinearPrecision,
        activation: Activation | None = None,
    ) -> None:
        super().__init__()
        self.precision, self.dtype = precision, torch.float32 if precision == "float32" else torch.bfloat16
        self.product = linear_product(weight, bias, precision, activation)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, in) in float32 or bfloat16 to (rows, out), float32 if that is the precision, else bfloat16."""
        return in_pieces(self.product, x if self.precision == "int8" else x.to(self.dtype))

    def extra_repr(self) -> str:
        return f"precision={self.precision!r}"


class PreparedFeedForward(nn.Module):
    """Linear, activation, linear, some rows at a time; in "int8" nothing but integers lies between the products."""

    def __init__(self, block: FeedForward, *, precision: LinearPrecision) -> None:
        super().__init__()
        self.precision, self.dtype = precision, torch.float32 if precision == "float32" else torch.bfloat16
        self.inner = linear_product(block.inner.weight, block.inner.bias, precision, block.activation)
        self.outer = linear_product(block.outer.weight, block.outer.bias, precision)

    def forward(self, frames: Tensor) -> Tensor:
        """(rows, dim) to (rows, dim), typed as by `PreparedLinear`."""
        return in_pieces(self._block, frames)

    def _block(self, frames: Tensor) -> Tensor:
        if isinstance(self.inner, IntegerProduct) and isinstance(self.outer, IntegerProduct):
            return self.outer(self.inner.quantised(frames))
        return self.outer(self.inner(frames.to(self.dtype)))

    def extra_repr(self) -> str:
        return f"precision={self.precision!r}"


@cache
def has_bfloat16() -> bool:
    """Return whether this machine multiplies bfloat16 faster than float32."""
    return advertised("bfloat16") or gains("bfloat16", "float32")


@cache
def has_int8() -> bool:
    """Return whether this machine multiplies integers of eight bits, with all that belongs to it, faster than floats.

    A processor without the instructions may also saturate on the way; there the answer is no.
    """
    largest = torch.full((16, 512), 127, dtype=torch.int8)
    for sign in (1, -1):
        if not torch._int_mm(largest, sign * largest.T).eq(sign * 127**2 * 512).all():  # noqa: SLF001
            return False
    if advertised("int8") and compiled("int8") is not None:  # without the kernel it may not be worth while
        return True
    return gains("int8", "bfloat16" if has_bfloat16() else "float32")


def advertised(precision: LinearPrecision) -> bool:
    """Return whether the processor says that it has the instructions, and torch has what makes use of them."""
    answers = (getattr(torch.cpu, question, bool)() for question in QUESTIONS[precision])
    return torch.backends.mkldnn.is_available() and any(answers)


@cache
def reordered_is_faster(precision: FloatPrecision) -> bool:
    """Whether oneDNN's product of reordered weights exists here, is right, and is not clearly slower than torch's own.

    Where both are about as fast, the answer must not change from run to run: the last bits of results depend on it.
    """
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
    return fast <= 1.25 * slow


def gains(precision: LinearPrecision, over: FloatPrecision) -> bool:
    """Whether the time of a product falls by a tenth or more; a busy machine may show it at the third look only."""
    x, weight, bias = trial()
    calls = [partial(PreparedLinear(weight, bias, precision=kind), x) for kind in (precision, over)]
    for _ in range(5):
        given, present = seconds(*calls)
        if given <= 0.9 * present:
            return True
        if given > 2 * present:  # nothing that a busy machine could explain
            break
    return False


def trial() -> tuple[Tensor, Tensor, Tensor]:
    """Input, weight and bias for a measurement."""
    rows, given, made = TRIAL
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    x, weight = draw(rows, given), draw(made, given)
    return x, weight * given**-0.5, draw(made)


@torch.no_grad()
def seconds(*calls: Callable[[], object]) -> list[float]:
    """The time of each in one thread, the best of a few turns: what disturbs a measurement only makes it longer."""
    best, threads = [math.inf] * len(calls), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for turn in range(5):
            for number, call in enumerate(calls):
                start = clock()
                call()
                taken = clock() - start
                if turn:  # the first only warms up
                    best[number] = min(best[number], taken)
    finally:
        torch.set_num_threads(threads)
    return best

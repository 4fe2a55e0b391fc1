"""The fastest number format for each kind of product on this machine, found by measurement.

Processor flags do not suffice: a processor with AVX512-BF16 and without AMX may multiply bfloat16 at half the rate of
float32, and int8 at four times that rate.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from math import inf
from typing import Literal

import torch
from torch import Tensor, nn

from sonant.inference.cpu.convolution import Convolution, PairedConvolution
from sonant.inference.cpu.grouped_convolution import GroupedConvolution, reordered_serves
from sonant.inference.cpu.linear import (
    CpuFeedForward,
    CpuLinear,
    FloatPrecision,
    LinearPrecision,
    integers_are_exact,
)
from sonant.inference.cpu.timing import time_ratio
from sonant.layers.transformer import FeedForward

Kind = Literal["linear", "convolution", "grouped", "depthwise", "feed_forward"]
TimeRatio = Callable[[Kind, LinearPrecision, FloatPrecision], float]
Computation = Callable[[], object]

# A lower precision is used if it takes at most this share of the time. Measured ratios are far from it, between 0.2
# and 0.6 or above 1.5, so that the choice, and with it the last digits, is the same in every run.
WORTH_WHILE = 0.9
FRAMES = (50, 300)  # frames of a short and of a longer clip: both must gain
DIM = 512


@dataclass(frozen=True)
class Arithmetic:
    """The number format of each kind of product.

    Attributes:
        linear: linear layers, and the attention between them.
        convolution: convolutions of the extractor and of causal contexts.
        grouped: the positional convolution.
        depthwise: the depthwise convolution of the conformer.
        integers: compute the linear layers named by `int8_groups` of a model in int8.
    """

    linear: FloatPrecision = "float32"
    convolution: FloatPrecision = "float32"
    grouped: FloatPrecision = "float32"
    depthwise: FloatPrecision = "float32"
    integers: bool = False

    @property
    def precision(self) -> LinearPrecision:
        """The precision of most of the work."""
        return "int8" if self.integers else self.linear


FLOAT32 = Arithmetic()


def fastest(precision: LinearPrecision, ratio: TimeRatio | None = None) -> Arithmetic:
    """Return the fastest arithmetic on this machine of at least the requested precision.

    Args:
        ratio: returns the time of a kind of product in one precision over that in another; None measures it.
    """
    if precision == "float32":
        return FLOAT32
    ratio = measured if ratio is None else ratio

    def of(kind: Kind) -> FloatPrecision:
        return "bfloat16" if ratio(kind, "bfloat16", "float32") <= WORTH_WHILE else "float32"

    floats = Arithmetic(of("linear"), of("convolution"), of("grouped"), of("depthwise"))
    integers = precision == "int8" and ratio("feed_forward", "int8", floats.linear) <= WORTH_WHILE
    return replace(floats, integers=integers)


def int8_arithmetic() -> Arithmetic:
    """Return int8 for the layers that can be multiplied so, whether that is fast or not, and the fastest for others."""
    return replace(fastest("bfloat16"), integers=True)


@cache
def measured(kind: Kind, given: LinearPrecision, present: FloatPrecision) -> float:
    """Measure the time of a kind of product in one precision over another; the largest ratio of several shapes."""
    if given == "int8" and not integers_are_exact():
        return inf
    if kind in ("grouped", "depthwise") and not reordered_serves("bfloat16"):
        return inf
    largest = 0.0
    for one, other in zip(computations(kind, given), computations(kind, present), strict=True):
        largest = max(largest, time_ratio(one, other))
        if largest > WORTH_WHILE:
            break
    return largest


def computations(kind: Kind, precision: LinearPrecision) -> Iterator[Computation]:
    """Return products of a kind in a precision, one for each shape: 2 to 600 million operations."""
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    if kind == "linear":
        linear = CpuLinear(draw(DIM, DIM), draw(DIM), precision=precision, activation="gelu")
        yield from (partial(linear, draw(frames, DIM)) for frames in FRAMES)
    elif kind == "feed_forward":
        block = CpuFeedForward(_feed_forward(draw), precision=precision)
        yield from (partial(block, draw(frames, DIM)) for frames in FRAMES)
    else:
        assert precision != "int8"
        convolution, rows = _convolution(kind, precision, draw)
        yield partial(convolution, rows.to(getattr(torch, precision)))


def _feed_forward(draw: Callable[..., Tensor]) -> FeedForward:
    """Build a block without using the global random number generator."""
    with torch.device("meta"):
        block = FeedForward(DIM, 2 * DIM)
    for linear in (block.inner, block.outer):
        linear.weight = nn.Parameter(draw(*linear.weight.shape) * linear.in_features**-0.5)
        linear.bias = nn.Parameter(draw(*linear.bias.shape))
    return block


def _convolution(
    kind: Kind, precision: FloatPrecision, draw: Callable[..., Tensor]
) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """Return a convolution of a kind, and its input."""
    match kind:
        case "grouped":
            weight, frames = draw(96, 48, 128), draw(49 + 127, 96)
            return GroupedConvolution(weight, None, 2, precision=precision, activation="gelu"), frames
        case "depthwise":
            return GroupedConvolution(draw(DIM, 1, 31), None, DIM, precision=precision), draw(50 + 30, DIM)
    weight, rows = draw(DIM // 2, DIM // 2, 3), draw(401, DIM // 2)
    if precision == "float32":
        return PairedConvolution(weight, None, "gelu"), rows
    return Convolution(weight, None, 2, precision=precision, activation="gelu"), rows

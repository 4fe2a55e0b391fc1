"""Models optimized for a CPU: weights laid out once, work in pieces that stay in the cache."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import nn

from sonant.inference.attention import FusedSelfAttention
from sonant.inference.cpu.arithmetic import FLOAT32, Arithmetic
from sonant.inference.cpu.causal_context import CpuCausalLayer
from sonant.inference.cpu.extractor import CpuExtractor
from sonant.inference.cpu.linear import CpuFeedForward, CpuLinear, LinearPrecision
from sonant.inference.cpu.positions import (
    CpuBatchNormPositions,
    CpuCenteredConvModule,
    CpuConvModule,
    CpuConvPositions,
    CpuStackedPositions,
)
from sonant.inference.cpu.smoothing import Peaks
from sonant.inference.modules import plain_copy, replace_blocks
from sonant.inference.relative_attention import FusedRelativeAttention, FusedRotaryAttention
from sonant.inference.structure import has_expected_parts
from sonant.layers.attention import SelfAttention
from sonant.layers.causal_context import CausalLayer
from sonant.layers.conformer import CenteredConvModule, ConvModule
from sonant.layers.conv_extractor import ConvExtractor
from sonant.layers.positions import BatchNormPositions, ConvPositions, StackedPositions
from sonant.layers.relative_attention import RelativeAttention, RotaryAttention
from sonant.layers.transformer import FeedForward
from sonant.models import Backbone, VQWav2Vec


@torch.no_grad()
def optimize_for_cpu(
    backbone: Backbone, arithmetic: Arithmetic = FLOAT32, integers: Mapping[str, Peaks] | None = None
) -> Backbone:
    """`optimize`, for a CPU.

    Args:
        arithmetic: of each kind of product, whether that is fast here or not.
        integers: the feed-forward and attention blocks, by name, whose products are of integers of eight bits.
    """
    optimized = plain_copy(backbone, torch.float32, torch.device("cpu"))
    chosen = {optimized.get_submodule(name): peaks for name, peaks in (integers or {}).items()}

    def replacement(block: nn.Module) -> nn.Module | None:
        return optimized_block(block, arithmetic, chosen.get(block))

    if replacement(optimized) is None:
        replace_blocks(optimized, replacement)
    return optimized


def optimized_block(block: nn.Module, arithmetic: Arithmetic, integers: Peaks | None = None) -> nn.Module | None:  # noqa: C901, PLR0911  one line for each kind
    """The faster form of a block of a plain copy; None where there is none.

    Args:
        integers: what its products are given, where they are to be of integers.
    """
    linear: LinearPrecision = arithmetic.linear if integers is None else "int8"
    beside = arithmetic.linear
    make_float = partial(CpuLinear, precision=arithmetic.linear)
    match block:
        case VQWav2Vec():  # rounding would change codes, not only their last digits
            replace_blocks(block, partial(optimized_block, arithmetic=FLOAT32))
            return block
        case _ if not has_expected_parts(block):
            return None
        case ConvExtractor():
            return CpuExtractor(block, precision=arithmetic.convolution)
        case ConvPositions():
            return CpuConvPositions(block, precision=arithmetic.grouped)
        case StackedPositions():
            return CpuStackedPositions(block, precision=arithmetic.grouped)
        case BatchNormPositions():
            return CpuBatchNormPositions(block, precision=arithmetic.grouped)
        case SelfAttention():
            make = partial(CpuLinear, precision=linear, beside=beside)
            first, second = integers or (None, None)
            return FusedSelfAttention(block, partial(make, peaks=first), partial(make, peaks=second))
        case RelativeAttention():
            return FusedRelativeAttention(block, make_float)
        case RotaryAttention():
            return FusedRotaryAttention(block, make_float)
        case FeedForward():
            return CpuFeedForward(block, precision=linear, beside=beside, peaks=integers)
        case ConvModule():
            return CpuConvModule(block, precision=arithmetic.linear, depthwise=arithmetic.depthwise)
        case CenteredConvModule():
            return CpuCenteredConvModule(block, precision=arithmetic.linear, depthwise=arithmetic.depthwise)
        case CausalLayer():
            return CpuCausalLayer(block, precision=arithmetic.convolution)
    return None

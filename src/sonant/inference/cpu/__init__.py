"""Models readied for a CPU: weights laid out once, work in pieces that stay in the cache."""

from collections.abc import Collection
from functools import partial

import torch
from torch import nn

from sonant.inference.attention import FusedSelfAttention
from sonant.inference.cpu.arithmetic import FLOAT32, Arithmetic, as_asked
from sonant.inference.cpu.causal_context import PreparedCausalLayer
from sonant.inference.cpu.extractor import PreparedExtractor
from sonant.inference.cpu.linear import LinearPrecision, PreparedFeedForward, PreparedLinear
from sonant.inference.cpu.positions import (
    PreparedBatchNormPositions,
    PreparedCentredConvModule,
    PreparedConvModule,
    PreparedConvPositions,
)
from sonant.inference.modules import plain_copy, replace_blocks
from sonant.inference.parts import is_whole
from sonant.inference.relative_attention import FusedRelativeAttention, FusedRotaryAttention
from sonant.layers.attention import SelfAttention
from sonant.layers.causal_context import CausalLayer
from sonant.layers.conformer import CentredConvModule, ConvModule
from sonant.layers.conv_extractor import ConvExtractor
from sonant.layers.positions import BatchNormPositions, ConvPositions
from sonant.layers.relative_attention import RelativeAttention, RotaryAttention
from sonant.layers.transformer import FeedForward
from sonant.models import Backbone, VQWav2Vec
from sonant.models.backbone import LinearGroup


@torch.no_grad()
def prepare_cpu(backbone: Backbone, precision: LinearPrecision, arithmetic: Arithmetic | None = None) -> Backbone:
    """`prepare`, for a CPU.

    Args:
        arithmetic: of each kind of product; None: `precision`, whether that is fast here or not.
    """
    prepared = plain_copy(backbone, torch.float32, torch.device("cpu"))
    arithmetic = as_asked(precision) if arithmetic is None else arithmetic
    replacement = partial(_prepared, arithmetic=arithmetic, int8_groups=backbone.int8_groups)
    if replacement(prepared) is None:
        replace_blocks(prepared, replacement)
    return prepared


def _prepared(  # noqa: C901, PLR0911  one line for each kind
    block: nn.Module, arithmetic: Arithmetic, int8_groups: Collection[LinearGroup]
) -> nn.Module | None:
    def linear(group: LinearGroup) -> LinearPrecision:
        return "int8" if arithmetic.integers and group in int8_groups else arithmetic.linear

    beside = arithmetic.linear
    make_linear = partial(PreparedLinear, precision=linear("attention"), beside=beside)
    match block:
        case VQWav2Vec():  # rounding would change codes, not only their last digits
            replace_blocks(block, partial(_prepared, arithmetic=FLOAT32, int8_groups=()))
            return block
        case _ if not is_whole(block):
            return None
        case ConvExtractor():
            return PreparedExtractor(block, precision=arithmetic.convolution)
        case ConvPositions():
            return PreparedConvPositions(block, precision=arithmetic.grouped)
        case BatchNormPositions():
            return PreparedBatchNormPositions(block, precision=arithmetic.grouped)
        case SelfAttention():
            return FusedSelfAttention(block, make_linear)
        case RelativeAttention():
            return FusedRelativeAttention(block, make_linear)
        case RotaryAttention():
            return FusedRotaryAttention(block, make_linear)
        case FeedForward():
            return PreparedFeedForward(block, precision=linear("feed_forward"), beside=beside)
        case ConvModule():
            return PreparedConvModule(block, precision=arithmetic.linear, depthwise=arithmetic.depthwise)
        case CentredConvModule():
            return PreparedCentredConvModule(block, precision=arithmetic.linear, depthwise=arithmetic.depthwise)
        case CausalLayer():
            return PreparedCausalLayer(block, precision=arithmetic.convolution)
    return None

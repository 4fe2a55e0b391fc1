"""Models readied for a CPU: weights laid out once, work in pieces that stay in the cache."""

from collections.abc import Collection
from functools import partial

import torch
from torch import nn

from sonant.inference.attention import FusedSelfAttention
from sonant.inference.cpu.causal_context import PreparedCausalLayer
from sonant.inference.cpu.extractor import PreparedExtractor
from sonant.inference.cpu.linear import (
    FloatPrecision,
    LinearPrecision,
    PreparedFeedForward,
    PreparedLinear,
    has_bfloat16,
)
from sonant.inference.cpu.positions import PreparedConvModule, PreparedConvPositions
from sonant.inference.modules import plain_copy, replace_blocks
from sonant.inference.parts import is_whole
from sonant.layers.attention import SelfAttention
from sonant.layers.causal_context import CausalLayer
from sonant.layers.conformer import ConvModule
from sonant.layers.conv_extractor import ConvExtractor
from sonant.layers.positions import ConvPositions
from sonant.layers.transformer import FeedForward
from sonant.models import Backbone, VQWav2Vec
from sonant.models.backbone import LinearGroup


@torch.no_grad()
def prepare_cpu(backbone: Backbone, precision: LinearPrecision) -> Backbone:
    """`prepare`, for a CPU, in an arithmetic that pays there or not."""
    prepared = plain_copy(backbone, torch.float32, torch.device("cpu"))
    replacement = partial(_prepared, precision=precision, int8_groups=backbone.int8_groups)
    if replacement(prepared) is None:
        replace_blocks(prepared, replacement)
    return prepared


def _prepared(  # noqa: PLR0911  one line for each kind
    block: nn.Module, precision: LinearPrecision, int8_groups: Collection[LinearGroup]
) -> nn.Module | None:
    others = _beside_integers() if precision == "int8" else precision
    match block:
        case VQWav2Vec():  # rounding would change codes, not only their last digits
            replace_blocks(block, partial(_prepared, precision="float32", int8_groups=()))
            return block
        case _ if not is_whole(block):
            return None
        case ConvExtractor():
            return PreparedExtractor(block, precision=others)
        case ConvPositions():
            return PreparedConvPositions(block, precision=others)
        case SelfAttention():
            kind = precision if "attention" in int8_groups else others
            return FusedSelfAttention(block, partial(PreparedLinear, precision=kind))
        case FeedForward():
            return PreparedFeedForward(block, precision=precision if "feed_forward" in int8_groups else others)
        case ConvModule():
            return PreparedConvModule(block, precision=others)
        case CausalLayer():
            return PreparedCausalLayer(block, precision=others)
    return None


def _beside_integers() -> FloatPrecision:
    return "bfloat16" if has_bfloat16() else "float32"

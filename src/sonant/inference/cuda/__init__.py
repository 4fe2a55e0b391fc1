"""Models optimized for a GPU: few and large kernels."""

from functools import partial

import torch
from torch import nn

from sonant.inference.cuda.blocks import (
    CudaBatchNormPositions,
    CudaConv,
    CudaConvPositions,
    CudaFeedForward,
    CudaLinear,
    CudaStackedPositions,
    CudaTransformerLayer,
    WideBatchNorm,
    Widened,
    WideNorm,
    cuda_attention,
)
from sonant.inference.cuda.encoder import GraphedEncoder
from sonant.inference.cuda.exact_float32 import run_exactly
from sonant.inference.cuda.extractor import CudaExtractor
from sonant.inference.modules import plain_copy, replace_blocks
from sonant.inference.precision import Precision
from sonant.inference.relative_attention import FusedRelativeAttention, FusedRotaryAttention
from sonant.inference.structure import has_expected_parts
from sonant.layers.attention import SelfAttention
from sonant.layers.conformer import CenteredConvModule, ConvModule
from sonant.layers.conv_extractor import ConvExtractor
from sonant.layers.positions import BatchNormPositions, ConvPositions, StackedPositions
from sonant.layers.relative_attention import RelativeAttention, RotaryAttention
from sonant.layers.transformer import FeedForward, TransformerEncoder, TransformerLayer
from sonant.models import Backbone, MaskableBackbone
from sonant.models.maskable import FeatureProjection

UNDIVIDED = (
    *(SelfAttention, RelativeAttention, RotaryAttention, FeedForward, FeatureProjection),
    *(ConvExtractor, ConvPositions, BatchNormPositions, StackedPositions, ConvModule, CenteredConvModule),
)


@torch.no_grad()
def optimize_for_cuda(backbone: Backbone, precision: Precision, device: torch.device | None = None) -> Backbone:
    """A copy of a model for inference on a GPU, that it lies on or another; `sonant.inference.optimize` says more.

    Where a family has no block of its own here, it is the plain model in that precision. In float32, TF32 is off while
    it runs.
    """
    dtype = getattr(torch, precision)
    if isinstance(backbone, MaskableBackbone):
        optimized = plain_copy(backbone, torch.float32, device)
        replace_blocks(optimized, partial(_optimized, dtype=dtype))
    else:
        optimized = plain_copy(backbone, dtype, device)
    if precision == "float32":
        run_exactly(optimized)
    return optimized


def _optimized(block: nn.Module, dtype: torch.dtype) -> nn.Module | None:  # noqa: C901, PLR0911, PLR0912  a line for each kind
    match block:
        case TransformerEncoder():
            replace_blocks(block, partial(_optimized, dtype=dtype))
            is_whole_stack = block.layers and all(isinstance(layer, CudaTransformerLayer) for layer in block.layers)
            return GraphedEncoder(block) if is_whole_stack else block
        case _ if not has_expected_parts(block):  # of mixed number types it may not work: all in float32
            return block if type(block) in UNDIVIDED else None
        case TransformerLayer():
            return CudaTransformerLayer(block, dtype)
        case SelfAttention():
            return cuda_attention(block, dtype)
        case RelativeAttention():
            return FusedRelativeAttention(block, partial(CudaLinear, dtype=dtype))
        case RotaryAttention():
            return FusedRotaryAttention(block, partial(CudaLinear, dtype=dtype))
        case FeedForward():
            return CudaFeedForward(block, dtype)
        case ConvExtractor() if block.norm != "clip":
            return CudaExtractor(block, dtype)
        case ConvPositions():
            return CudaConvPositions(block, dtype)
        case StackedPositions():
            return CudaStackedPositions(block, dtype)
        case BatchNormPositions():
            return CudaBatchNormPositions(block, dtype)
        case FeatureProjection():
            return _projection(block, dtype)
        case nn.LayerNorm():
            return WideNorm(block)
        case nn.BatchNorm1d():
            return WideBatchNorm(block)
        case nn.Linear():
            return CudaLinear(block.weight, block.bias, dtype)
        case nn.Conv1d() if type(block) is nn.Conv1d:  # not those that do more
            return CudaConv(block, dtype)
    return None


def _projection(block: FeatureProjection, dtype: torch.dtype) -> FeatureProjection:
    """Replace the parts of a feature projection with those for a GPU, and return it."""
    if not isinstance(block.norm, nn.Identity):
        block.norm = WideNorm(block.norm)  # type: ignore[assignment]
    assert isinstance(block.linear, nn.Linear)  # a block without it is not whole
    block.linear = Widened(CudaLinear(block.linear.weight, block.linear.bias, dtype))  # type: ignore[assignment]
    return block

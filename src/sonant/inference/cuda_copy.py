"""The copy of a model for inference on a GPU."""

from functools import partial

import torch
from torch import nn

from sonant.inference.blocks import BLOCKS
from sonant.inference.cuda.blocks import CudaTransformerLayer
from sonant.inference.cuda.encoder import GraphedEncoder
from sonant.inference.cuda.exact_float32 import run_exactly
from sonant.inference.modules import plain_copy, replace_blocks
from sonant.inference.precision import Precision
from sonant.inference.structure import has_expected_parts
from sonant.layers.attention import SelfAttention
from sonant.layers.conformer import CenteredConvModule, ConvModule
from sonant.layers.conv_extractor import ConvExtractor
from sonant.layers.positions import BatchNormPositions, ConvPositions, StackedPositions
from sonant.layers.relative_attention import RelativeAttention, RotaryAttention
from sonant.layers.transformer import FeedForward, TransformerEncoder
from sonant.models import Backbone, MaskableBackbone
from sonant.models.maskable import FeatureProjection

# Blocks that, of mixed number types, may not work: if a part of one was changed, all of it is float32.
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


def _optimized(block: nn.Module, dtype: torch.dtype) -> nn.Module | None:
    """The faster form of a block of a plain copy, the block itself if it runs as it is; None to look into its parts."""
    if isinstance(block, TransformerEncoder):
        replace_blocks(block, partial(_optimized, dtype=dtype))
        is_whole_stack = block.layers and all(isinstance(layer, CudaTransformerLayer) for layer in block.layers)
        return GraphedEncoder(block) if is_whole_stack else block
    if not has_expected_parts(block):
        return block if type(block) in UNDIVIDED else None
    forms = BLOCKS.get(type(block))
    return None if forms is None or isinstance(forms.cuda, str) else forms.cuda(block, dtype)

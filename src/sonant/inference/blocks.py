"""The forms of every block: plain (in `layers/`), for CPUs, for GPUs, and for padded batches.

A test checks that every block of every family has a row, and that a missing form has a reason.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from sonant.inference.attention import FusedSelfAttention
from sonant.inference.cpu.arithmetic import Arithmetic
from sonant.inference.cpu.causal_context import CpuCausalLayer
from sonant.inference.cpu.extractor import CpuExtractor
from sonant.inference.cpu.linear import CpuFeedForward, CpuLinear
from sonant.inference.cpu.positions import (
    CpuBatchNormPositions,
    CpuCenteredConvModule,
    CpuConvModule,
    CpuConvPositions,
    CpuStackedPositions,
)
from sonant.inference.cpu.smoothing import Peaks
from sonant.inference.cuda.blocks import (
    CudaBatchNormPositions,
    CudaConv,
    CudaConvPositions,
    CudaFeedForward,
    CudaLinear,
    CudaStackedPositions,
    CudaTransformerLayer,
    WideBatchNorm,
    WideNorm,
    cuda_attention,
    cuda_projection,
)
from sonant.inference.cuda.extractor import cuda_extractor
from sonant.inference.padded.attention import PaddedSelfAttention
from sonant.inference.padded.causal_context import PaddedCausalLayer
from sonant.inference.padded.conformer import PaddedConvModule
from sonant.inference.padded.extractor import PaddedExtractor
from sonant.inference.padded.fbank import PaddedFbank
from sonant.inference.padded.positions import (
    PaddedBatchNormPositions,
    PaddedConvPositions,
    PaddedRelativePositions,
    PaddedStackedPositions,
)
from sonant.inference.padded.quantizers import PaddedGumbelQuantizer, PaddedKMeansQuantizer
from sonant.inference.relative_attention import FusedRelativeAttention, FusedRotaryAttention
from sonant.layers.attention import SelfAttention
from sonant.layers.attention_adapter import AttentionAdapter
from sonant.layers.causal_context import CausalContext, CausalLayer
from sonant.layers.conformer import CenteredConvModule, ConformerEncoder, ConformerLayer, ConvModule
from sonant.layers.conv_adapter import ConvAdapter
from sonant.layers.conv_extractor import ConvExtractor
from sonant.layers.gumbel_quantizer import GumbelQuantizer
from sonant.layers.kmeans_quantizer import KMeansQuantizer
from sonant.layers.positions import BatchNormPositions, ConvPositions, RelativePositions, StackedPositions
from sonant.layers.relative_attention import RelativeAttention, RotaryAttention, Rotations, Sinusoids
from sonant.layers.squeezed import SqueezedEncoder, StridedPositions
from sonant.layers.token_positions import LearnedPositions
from sonant.layers.transformer import FeedForward, TransformerEncoder, TransformerLayer
from sonant.models.code_vocabulary import CodeVocabulary
from sonant.models.discrete_bert import TokenHead
from sonant.models.fbank import FilterBank, StackedFbank
from sonant.models.maskable import FeatureProjection

CpuForm = Callable[[Any, Arithmetic, Peaks | None], nn.Module]  # block, number formats, input of integer products
CudaForm = Callable[[Any, torch.dtype], nn.Module | None]  # block, dtype of its products
PaddedForm = Callable[[Any], nn.Module]

PARTS = "its parts have forms, or run as they are"
ROWS = "it works on each frame by itself"
LITTLE = "it takes a small part of the time"
OTHER_WORK = "no family with it is optimized for a GPU: its time goes elsewhere"


@dataclass(frozen=True, kw_only=True)
class Forms:
    """The forms of one block.

    Attributes:
        cpu, cuda, padded: build the form of a plain block; a string says why there is none, and the plain block runs.
        graph: False if a model with this block cannot be exported.
    """

    cpu: CpuForm | str
    cuda: CudaForm | str
    padded: PaddedForm | str
    graph: bool = True


def _cpu_attention(block: SelfAttention, arithmetic: Arithmetic, integers: Peaks | None) -> FusedSelfAttention:
    precision = arithmetic.linear if integers is None else "int8"
    make = partial(CpuLinear, precision=precision, beside=arithmetic.linear)
    first, second = integers or (None, None)
    return FusedSelfAttention(block, partial(make, peaks=first), partial(make, peaks=second))


def _cpu_feed_forward(block: FeedForward, arithmetic: Arithmetic, integers: Peaks | None) -> CpuFeedForward:
    precision = arithmetic.linear if integers is None else "int8"
    return CpuFeedForward(block, precision=precision, beside=arithmetic.linear, peaks=integers)


BLOCKS: dict[type[nn.Module], Forms] = {
    ConvExtractor: Forms(
        cpu=lambda block, formats, _: CpuExtractor(block, precision=formats.convolution),
        cuda=cuda_extractor,
        padded=PaddedExtractor,
    ),
    StackedFbank: Forms(
        cpu="it computes mel energies by torch's own transform, in float32",
        cuda="it computes mel energies by torch's own transform, in float32",
        padded=PaddedFbank,
    ),
    FilterBank: Forms(
        cpu="it computes mel energies by torch's own transform, in float32",
        cuda="it computes mel energies by torch's own transform, in float32",
        padded="features without weights are computed by any other toolkit",
        graph=False,
    ),
    FeatureProjection: Forms(cpu=LITTLE, cuda=cuda_projection, padded=ROWS),
    ConvPositions: Forms(
        cpu=lambda block, formats, _: CpuConvPositions(block, precision=formats.grouped),
        cuda=CudaConvPositions,
        padded=PaddedConvPositions,
    ),
    StackedPositions: Forms(
        cpu=lambda block, formats, _: CpuStackedPositions(block, precision=formats.grouped),
        cuda=CudaStackedPositions,
        padded=PaddedStackedPositions,
    ),
    BatchNormPositions: Forms(
        cpu=lambda block, formats, _: CpuBatchNormPositions(block, precision=formats.grouped),
        cuda=CudaBatchNormPositions,
        padded=PaddedBatchNormPositions,
    ),
    RelativePositions: Forms(cpu=LITTLE, cuda=LITTLE, padded=PaddedRelativePositions),
    LearnedPositions: Forms(
        cpu=LITTLE, cuda=OTHER_WORK, padded="its rows are looked up where clips are cut into blocks"
    ),
    SelfAttention: Forms(cpu=_cpu_attention, cuda=cuda_attention, padded=PaddedSelfAttention),
    RelativeAttention: Forms(
        cpu=lambda block, formats, _: FusedRelativeAttention(block, partial(CpuLinear, precision=formats.linear)),
        cuda=lambda block, dtype: FusedRelativeAttention(block, partial(CudaLinear, dtype=dtype)),
        padded="its table of distances is as long as the longest clip",
        graph=False,
    ),
    RotaryAttention: Forms(
        cpu=lambda block, formats, _: FusedRotaryAttention(block, partial(CpuLinear, precision=formats.linear)),
        cuda=lambda block, dtype: FusedRotaryAttention(block, partial(CudaLinear, dtype=dtype)),
        padded="its table of angles is as long as the longest clip",
        graph=False,
    ),
    FeedForward: Forms(cpu=_cpu_feed_forward, cuda=CudaFeedForward, padded=ROWS),
    AttentionAdapter: Forms(cpu=PARTS, cuda=PARTS, padded=ROWS),
    TransformerLayer: Forms(cpu=PARTS, cuda=CudaTransformerLayer, padded=PARTS),
    TransformerEncoder: Forms(
        cpu=PARTS,
        cuda="its layers have a form, and `GraphedEncoder` launches them at once",
        padded=PARTS,
    ),
    SqueezedEncoder: Forms(cpu=PARTS, cuda=PARTS, padded="clips are squeezed where they lie", graph=False),
    ConvModule: Forms(
        cpu=lambda block, formats, _: CpuConvModule(block, precision=formats.linear, depthwise=formats.depthwise),
        cuda=PARTS,
        padded=PaddedConvModule,
    ),
    CenteredConvModule: Forms(
        cpu=lambda block, formats, _: CpuCenteredConvModule(
            block, precision=formats.linear, depthwise=formats.depthwise
        ),
        cuda=PARTS,
        padded="no model with its attention has a graph",
        graph=False,
    ),
    ConformerLayer: Forms(cpu=PARTS, cuda=PARTS, padded=PARTS),
    ConformerEncoder: Forms(cpu=PARTS, cuda=PARTS, padded=PARTS),
    CausalLayer: Forms(
        cpu=lambda block, formats, _: CpuCausalLayer(block, precision=formats.convolution),
        cuda=OTHER_WORK,
        padded=PaddedCausalLayer,
    ),
    CausalContext: Forms(cpu=PARTS, cuda=OTHER_WORK, padded=PARTS),
    GumbelQuantizer: Forms(cpu="rounding would change codes", cuda=OTHER_WORK, padded=PaddedGumbelQuantizer),
    KMeansQuantizer: Forms(cpu="rounding would change codes", cuda=OTHER_WORK, padded=PaddedKMeansQuantizer),
    nn.Linear: Forms(cpu=LITTLE, cuda=lambda block, dtype: CudaLinear(block.weight, block.bias, dtype), padded=ROWS),
    nn.Conv1d: Forms(cpu=LITTLE, cuda=CudaConv, padded="the blocks that it is in have forms"),
    nn.LayerNorm: Forms(cpu=LITTLE, cuda=lambda block, _: WideNorm(block), padded=ROWS),
    nn.BatchNorm1d: Forms(cpu=LITTLE, cuda=lambda block, _: WideBatchNorm(block), padded=ROWS),
    **dict.fromkeys(
        (StridedPositions, Sinusoids, Rotations, nn.Embedding, CodeVocabulary),
        Forms(cpu=LITTLE, cuda=LITTLE, padded="the block that it is in has a form or no graph"),
    ),
    **dict.fromkeys(
        (ConvAdapter, TokenHead),
        Forms(cpu="hidden states do not pass it", cuda="hidden states do not pass it", padded="no part of a graph"),
    ),
}


def padded_form(block: nn.Module) -> nn.Module | None:
    """Build the form of a block for padded batches; None if it runs as it is, with the forms of its parts."""
    forms = BLOCKS.get(type(block))
    return None if forms is None or isinstance(forms.padded, str) else forms.padded(block)

"""Detection of customized modules: only unmodified modules of this package are replaced by faster ones.

An allow-list: whatever is not recognized (an adapter, a quantized layer, a hook, a parametrization, pruning, another
`forward`) runs unoptimized.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from sonant.layers.attention import SelfAttention
from sonant.layers.attention_adapter import AttentionAdapter
from sonant.layers.causal_context import CausalContext, CausalLayer
from sonant.layers.clip_convolution import ClipConv
from sonant.layers.clip_norm import ClipGroupNorm
from sonant.layers.conformer import CenteredConvModule, ConformerEncoder, ConformerLayer, ConvModule
from sonant.layers.conv_adapter import ConvAdapter, ConvAdapterLayer, GatedConvLayer, StridedGate
from sonant.layers.conv_extractor import ChannelNorm, ClipNorm, ConvExtractor, ConvLayer
from sonant.layers.gumbel_quantizer import GumbelQuantizer
from sonant.layers.kmeans_quantizer import KMeansQuantizer
from sonant.layers.positions import (
    BatchNormPositions,
    ConvPositions,
    PositionGate,
    RelativeKeys,
    RelativePositions,
    StackedPositions,
)
from sonant.layers.relative_attention import RelativeAttention, RotaryAttention, Rotations, Sinusoids
from sonant.layers.squeezed import SqueezedEncoder, StridedPositions
from sonant.layers.token_positions import LearnedPositions
from sonant.layers.transformer import FeedForward, TransformerEncoder, TransformerLayer
from sonant.models.code_vocabulary import CodeVocabulary
from sonant.models.discrete_bert import TokenHead
from sonant.models.families import FAMILIES
from sonant.models.fbank import FilterBank, StackedFbank
from sonant.models.maskable import FeatureProjection

# The classes of models; rows that name a function build one of these too.
BUILDERS = [row.build for row in FAMILIES.values()]
MODELS: set[type[nn.Module]] = {kind for kind in BUILDERS if isinstance(kind, type) and issubclass(kind, nn.Module)}
# Every class that is known, with what it computes: another function may have been put in its place.
KNOWN: dict[type[nn.Module], Any] = {
    kind: kind.forward
    for kind in (
        *(SelfAttention, PositionGate, FeedForward, ConvModule, CausalLayer, ConvExtractor, ConvLayer),
        *(
            ConvPositions,
            BatchNormPositions,
            StackedPositions,
            ClipConv,
            FeatureProjection,
            TransformerLayer,
            AttentionAdapter,
        ),
        *(nn.Linear, nn.Conv1d, nn.LayerNorm, nn.BatchNorm1d, nn.Embedding, nn.Dropout, nn.Identity, nn.ModuleList),
        *(ChannelNorm, ClipGroupNorm, ClipNorm, RelativeKeys, RelativePositions, LearnedPositions),
        *(
            SqueezedEncoder,
            StridedPositions,
            CenteredConvModule,
            RelativeAttention,
            RotaryAttention,
            Rotations,
            Sinusoids,
        ),
        *(CausalContext, ConformerEncoder, ConformerLayer, TransformerEncoder),
        *(ConvAdapter, ConvAdapterLayer, GatedConvLayer, StridedGate, GumbelQuantizer, KMeansQuantizer),
        *(FilterBank, StackedFbank, CodeVocabulary, TokenHead),
    )
} | {kind: kind.forward for kind in MODELS}
# Names that are weights; a tensor of that name which is no parameter is made by something else, such as weight norm.
WEIGHTS = {"weight", "bias", "weight_v", "weight_g", "scale", "codebook", "mask_embedding"}
# For each class, the names that attributes of an instance must not hide.
UNTOUCHED = {kind: WEIGHTS | {name for name in dir(kind) if callable(getattr(kind, name, None))} for kind in KNOWN}
GLOBAL_HOOKS = (
    "_global_forward_pre_hooks",
    "_global_forward_hooks",
    "_global_backward_pre_hooks",
    "_global_backward_hooks",
)
# Attributes that every module has; a module compiled in place has one more.
STANDARD = frozenset(vars(nn.Module())) | {"_compiled_call_impl"}


def has_global_hooks() -> bool:
    """Return whether a global module hook is registered."""
    return any(getattr(torch_module, name) for name in GLOBAL_HOOKS)


def customization(module: nn.Module) -> str | None:
    """Describe how a module, without its children, differs from its class; None for a plain one."""
    kind, own = type(module), vars(module)
    if kind not in KNOWN:
        return f"class {kind.__module__}.{kind.__qualname__}"
    if KNOWN[kind] is not kind.forward or not UNTOUCHED[kind].isdisjoint(own):
        return "something in the place of its own methods or weights"
    if own["_forward_hooks"] or own["_forward_pre_hooks"] or own["_backward_hooks"] or own["_backward_pre_hooks"]:
        return "a hook"
    for tensor in own_tensors(module):
        # quantized, sparse, sharded or lazy
        if type(tensor) not in (nn.Parameter, Tensor) or tensor.layout is not torch.strided or tensor.is_quantized:
            return "a tensor of a special kind"
    return None


def customizations(model: nn.Module) -> list[str]:
    """List the customized modules of a model by name, each with the reason."""
    if has_global_hooks():
        return ["hooks on all modules"]
    found = ((name or "the model", customization(module)) for name, module in model.named_modules())
    return [f"{name} ({reason})" for name, reason in found if reason is not None]


def own_tensors(module: nn.Module) -> list[Tensor]:
    """Return the parameters and buffers of a module, without those of its children."""
    own = vars(module)
    return [tensor for tensor in (*own["_parameters"].values(), *own["_buffers"].values()) if tensor is not None]

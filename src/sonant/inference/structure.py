"""The structure that a block must have to be replaced by a faster one."""

from types import NoneType

from torch import nn

from sonant.layers.attention import SelfAttention
from sonant.layers.attention_adapter import AttentionAdapter
from sonant.layers.causal_context import CausalLayer
from sonant.layers.clip_convolution import ClipConv
from sonant.layers.clip_norm import ClipGroupNorm
from sonant.layers.conformer import CenteredConvModule, ConvModule
from sonant.layers.conv_extractor import ChannelNorm, ClipNorm, ConvExtractor, ConvLayer
from sonant.layers.kernels.activations import activation
from sonant.layers.positions import BatchNormPositions, PositionGate, RelativeKeys, StackedPositions
from sonant.layers.relative_attention import RelativeAttention, RotaryAttention
from sonant.layers.transformer import FeedForward, TransformerLayer
from sonant.models.maskable import FeatureProjection

LINEAR, CONV, NORM, DROPOUT = (nn.Linear,), (nn.Conv1d,), (nn.LayerNorm,), (nn.Dropout, nn.Identity)
CONV_MODULE = {"norm": NORM, "inner": LINEAR, "depthwise": CONV, "outer": LINEAR, "dropout": DROPOUT}

# For each block that has a faster form: the names of its parts, and their possible classes.
EXPECTED_PARTS: dict[type[nn.Module], dict[str, tuple[type, ...]]] = {
    SelfAttention: {
        **dict.fromkeys(("query", "key", "value", "output"), LINEAR),
        "gate": (PositionGate, NoneType),
        "relative_keys": (RelativeKeys, NoneType),
    },
    PositionGate: {"linear": LINEAR},
    FeedForward: {"inner": LINEAR, "outer": LINEAR, "dropout": DROPOUT, "activation_dropout": DROPOUT},
    ConvModule: {**CONV_MODULE, "depthwise_norm": NORM},
    CenteredConvModule: {**CONV_MODULE, "batch_norm": (nn.BatchNorm1d,)},
    RelativeAttention: dict.fromkeys(("query", "key", "value", "output", "position"), LINEAR),
    RotaryAttention: dict.fromkeys(("query", "key", "value", "output"), LINEAR),
    CausalLayer: {"conv": CONV, "norm": (ClipGroupNorm,), "dropout": DROPOUT},
    ConvExtractor: {"layers": (nn.ModuleList,)},
    ConvLayer: {"conv": CONV, "norm": (ClipNorm, ChannelNorm, NoneType)},
    AttentionAdapter: {"norm": NORM, "inner": LINEAR, "outer": LINEAR},
    TransformerLayer: {
        "adapter": (AttentionAdapter, NoneType),
        "attention": (SelfAttention,),
        "attention_norm": NORM,
        "feed_forward": (FeedForward,),
        "feed_forward_norm": NORM,
        "dropout": DROPOUT,
    },
    FeatureProjection: {"norm": (*NORM, nn.Identity), "linear": LINEAR, "dropout": DROPOUT},
    BatchNormPositions: {"norm": (nn.BatchNorm1d,)},
}


def has_expected_parts(block: nn.Module) -> bool:  # noqa: C901, PLR0911  one line for each kind
    """Return whether a plain block has exactly the parts that its faster form replaces."""
    parts = EXPECTED_PARTS.get(type(block), {})
    for name, kinds in parts.items():
        part = getattr(block, name, None)
        if type(part) not in kinds or not (part is None or has_expected_parts(part)):
            return False
    match block:
        case nn.Linear():
            return block.weight.shape == (block.out_features, block.in_features)
        case nn.LayerNorm():
            return block.bias is not None and tuple(block.weight.shape) == tuple(block.normalized_shape)
        case nn.BatchNorm1d():
            return block.running_mean is not None and block.weight is not None
        case nn.Conv1d():
            return (*block.padding, *block.dilation, *block.output_padding) == (0, 1, 0) and not block.transposed
        case StackedPositions():
            return bool(block.layers) and all(type(layer) is ClipConv for layer in block.layers)
        case SelfAttention() | RelativeAttention() | RotaryAttention():
            return all(linear.bias is not None for linear in (block.query, block.key, block.value))
        case PositionGate():
            return block.linear.bias is not None
        case ConvModule() | CenteredConvModule():
            depthwise = block.depthwise
            unbiased = all(part.bias is None for part in (block.inner, block.outer, depthwise))
            return unbiased and depthwise.stride == (1,) and depthwise.weight.shape[1] == 1
        case CausalLayer():
            conv = block.conv
            return (conv.groups, *conv.stride, conv.weight.shape[2], block.norm.groups) == (1, 1, block.reach + 1, 1)
        case ConvExtractor():
            layers = zip(block.layers, block.kernels, block.strides, strict=False)
            return len(block.layers) == len(block.kernels) == len(block.strides) and all(
                type(layer) is ConvLayer and has_expected_parts(layer) and _fits(layer, block, kernel, stride)
                for layer, kernel, stride in layers
            )
    return True


def _fits(layer: ConvLayer, extractor: ConvExtractor, kernel: int, stride: int) -> bool:
    """Return whether a layer agrees with the attributes of its extractor."""
    conv, norm = layer.conv, layer.norm
    groups = 1 if extractor.norm == "clip" else conv.out_channels
    return (
        (conv.groups, *conv.stride, conv.weight.shape[2]) == (1, stride, kernel)
        and layer.activation is activation(extractor.activation)
        and not (isinstance(norm, ClipNorm) and norm.groups != groups)
    )

"""wav2vec 2.0 Conformer (fairseq S2T, arXiv 2010.05171): wav2vec 2.0, its Transformer replaced by a Conformer."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from torch import nn

from sonant.errors import ConfigurationError
from sonant.layers.attention import SelfAttention
from sonant.layers.conformer import CenteredConvModule, ConformerEncoder, ConformerLayer
from sonant.layers.conv_adapter import gated_adapter
from sonant.layers.conv_extractor import ConvExtractor, ExtractorNorm
from sonant.layers.kernels.activations import Activation
from sonant.layers.relative_attention import RelativeAttention, RotaryAttention, Rotations, Sinusoids
from sonant.models.encoders import FeedForwardSettings, feed_forward
from sonant.models.maskable import MaskableBackbone
from sonant.models.normalization import ORIGINAL_EPSILON
from sonant.models.waveform_config import WaveformConfig, check_multiple

Positions = Literal["relative", "rotary"]


@dataclass(frozen=True, kw_only=True)
class Wav2Vec2ConformerConfig(WaveformConfig, FeedForwardSettings):
    """Sizes and rates; the defaults are the published model with relative positions. In brackets: Hugging Face's name.

    Attributes:
        positions: the kind of positions in attention; None: attention has none.
        rotary_base: of the angles of "rotary"; the larger, the slower the slow channels turn.
        adapter_layers: number of layers of the convolutional adapter behind the encoder; 0 for none.
        adapter_dim: width behind that adapter; None for `dim`.
    """

    conv_channels: tuple[int, ...] = (512,) * 7  # conv_dim
    conv_kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_bias: bool = True
    extractor_norm: ExtractorNorm = "layer"  # feat_extract_norm
    dim: int = 1024  # hidden_size
    num_layers: int = 24
    num_heads: int = 16
    feed_forward_dim: int = 4096
    activation: Activation = "swish"  # hidden_act
    conv_kernel: int = 31  # conv_depthwise_kernel_size
    positions: Positions | None = "relative"  # position_embeddings_type
    rotary_base: int = 10_000  # rotary_embedding_base
    layer_norm_eps: float = 1e-5
    dropout: float = 0.1  # hidden_dropout
    attention_dropout: float = 0.1
    activation_dropout: float = 0.1
    conv_dropout: float = 0.1  # conformer_conv_dropout
    input_dropout: float = 0.1  # feat_proj_dropout
    layerdrop: float = 0.0
    adapter_layers: int = 0  # num_adapter_layers
    adapter_kernel: int = 3
    adapter_stride: int = 2
    adapter_dim: int | None = None  # output_hidden_size
    normalize: bool = True  # whether waveforms come with zero mean and unit variance
    normalize_epsilon: float = ORIGINAL_EPSILON  # added to the variance
    sampling_rate: int = 16_000

    def __post_init__(self) -> None:
        super().__post_init__()
        check_multiple(self.dim, num_heads=self.num_heads)
        if self.conv_kernel % 2 == 0:
            raise ConfigurationError(
                f"conv_kernel={self.conv_kernel} has no middle: the convolution sees as many frames ahead as back. "
                "Choose an odd number."
            )
        if self.positions == "rotary" and self.dim // self.num_heads % 2:
            raise ConfigurationError(
                f"Heads of {self.dim // self.num_heads} channels cannot be rotated in pairs; choose dim and num_heads "
                "so that each has an even number."
            )
        if self.positions == "relative" and self.dim % 2:
            raise ConfigurationError(f"dim={self.dim} is odd: relative positions are pairs of sine and cosine.")


RELATIVE_LARGE = Wav2Vec2ConformerConfig()
ROTARY_LARGE = replace(RELATIVE_LARGE, positions="rotary")


class Wav2Vec2Conformer(MaskableBackbone):
    """Convolutional extractor, projection, masking, Conformer; `last` is the last state after the encoder's norm.

    An adapter may stand behind it, see `MaskableBackbone`.
    """

    config: Wav2Vec2ConformerConfig
    extractor: ConvExtractor

    def __init__(self, config: Wav2Vec2ConformerConfig) -> None:
        c = config
        extractor = ConvExtractor(
            c.conv_channels, c.conv_kernels, c.conv_strides, bias=c.conv_bias, norm=c.extractor_norm
        )
        super().__init__(c, extractor, c.conv_channels[-1])

        def attention() -> SelfAttention | RelativeAttention | RotaryAttention:
            match c.positions:
                case "relative":
                    return RelativeAttention(c.dim, c.num_heads, dropout=c.attention_dropout)
                case "rotary":
                    return RotaryAttention(c.dim, c.num_heads, dropout=c.attention_dropout)
            return SelfAttention(c.dim, c.num_heads, dropout=c.attention_dropout)

        def make_layer() -> ConformerLayer:  # its norms add 1e-5, whatever the others do
            conv = CenteredConvModule(c.dim, kernel=c.conv_kernel, activation=c.activation, dropout=c.conv_dropout)
            make_feed_forward = partial(feed_forward, c, c.activation)
            return ConformerLayer(c.dim, attention(), conv, make_feed_forward, dropout=c.attention_dropout)

        positions: Sinusoids | Rotations | None = None
        if c.positions == "relative":
            positions = Sinusoids(c.dim)
        elif c.positions == "rotary":
            positions = Rotations(c.dim // c.num_heads, base=c.rotary_base)
        norm = nn.LayerNorm(c.dim, eps=c.layer_norm_eps)
        self.encoder = ConformerEncoder(
            c.num_layers, make_layer, positions=positions, norm=norm, dropout=c.dropout, layerdrop=c.layerdrop
        )
        self.adapter = gated_adapter(
            c.dim, c.adapter_dim, layers=c.adapter_layers, kernel=c.adapter_kernel, stride=c.adapter_stride
        )

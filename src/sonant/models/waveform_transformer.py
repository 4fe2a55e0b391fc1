"""The shape that wav2vec 2.0, HuBERT and WavLM share: convolutions over the waveform, then a Transformer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from sonant.errors import ConfigurationError
from sonant.layers.conv_adapter import gated_adapter
from sonant.layers.conv_extractor import ConvExtractor, ExtractorNorm
from sonant.layers.positions import ConvPositions, RelativePositions
from sonant.models.encoders import EncoderSettings, transformer_encoder
from sonant.models.maskable import MaskableBackbone
from sonant.models.normalization import ORIGINAL_EPSILON
from sonant.models.waveform_config import WaveformConfig, check_multiple


@dataclass(frozen=True, kw_only=True)
class WaveformTransformerConfig(WaveformConfig, EncoderSettings):
    """Sizes and rates; the defaults are the published base models. In brackets: fairseq's name, then Hugging Face's.

    Attributes:
        attention_adapter_dim: width in the middle of the adapter behind each layer (MMS); None for no such adapters.
        adapter_layers: number of layers of the convolutional adapter behind the encoder; 0 for none.
        adapter_dim: width behind that adapter; None for `dim`.
    """

    conv_channels: tuple[int, ...] = (512,) * 7  # conv_feature_layers; conv_dim
    conv_kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_bias: bool = False
    extractor_norm: ExtractorNorm = "group"  # extractor_mode default/layer_norm; feat_extract_norm group/layer
    dim: int = 768  # encoder_embed_dim; hidden_size
    num_layers: int = 12
    num_heads: int = 12
    feed_forward_dim: int = 3072
    pre_norm: bool = False  # layer_norm_first; do_stable_layer_norm
    position_kernel: int = 128  # conv_pos; num_conv_pos_embeddings
    position_groups: int = 16
    layer_norm_eps: float = 1e-5
    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation_dropout: float = 0.0
    input_dropout: float = 0.1  # dropout_input; feat_proj_dropout
    layerdrop: float = 0.05
    attention_adapter_dim: int | None = None  # adapter_attn_dim
    adapter_layers: int = 0  # num_adapter_layers
    adapter_kernel: int = 3
    adapter_stride: int = 2
    adapter_dim: int | None = None  # output_hidden_size
    normalize: bool = False  # whether waveforms come with zero mean and unit variance
    normalize_epsilon: float = ORIGINAL_EPSILON  # added to the variance
    sampling_rate: int = 16_000

    def __post_init__(self) -> None:
        super().__post_init__()
        check_multiple(self.dim, num_heads=self.num_heads, position_groups=self.position_groups)
        if self.attention_adapter_dim is not None and not self.pre_norm:
            raise ConfigurationError(
                f"attention_adapter_dim={self.attention_adapter_dim} was given with pre_norm=False: adapters stand in "
                "pre-norm layers alone. Leave it out, or set pre_norm=True."
            )


# Ours, for every family: a narrow first convolution and a short positional one, which otherwise take half of a training
# step on a CPU; norms first and no dropout, as a run of some epochs learns faster so and is far from overfitting.
TINY: dict[str, Any] = {
    "conv_channels": (64, 128, 128, 128, 128, 128, 128),
    "position_kernel": 64,
    "dim": 256,
    "num_layers": 8,
    "num_heads": 4,
    "feed_forward_dim": 1024,
    "pre_norm": True,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "input_dropout": 0.0,
    "layerdrop": 0.0,
}


class WaveformTransformer(MaskableBackbone):
    """Convolutional extractor, projection, masking, Transformer encoder; and the adapter, where there is one.

    Args:
        config: the configuration, of the family's own class.
        positions: the positions added to the frames before the first layer; None: a convolution under weight norm.
        relative_positions: the position bias that WavLM's layers share.
        projection_norm: whether a layer norm lies before the projection.
    """

    config: WaveformTransformerConfig
    extractor: ConvExtractor

    def __init__(
        self,
        config: WaveformTransformerConfig,
        *,
        positions: nn.Module | None = None,
        relative_positions: RelativePositions | None = None,
        projection_norm: bool = True,
    ) -> None:
        c = config
        extractor = ConvExtractor(
            c.conv_channels, c.conv_kernels, c.conv_strides, bias=c.conv_bias, norm=c.extractor_norm
        )
        super().__init__(c, extractor, c.conv_channels[-1], norm=projection_norm)
        self.encoder = transformer_encoder(
            c,
            positions or ConvPositions(c.dim, kernel=c.position_kernel, groups=c.position_groups),
            pre_norm=c.pre_norm,
            relative_positions=relative_positions,
            attention_adapter_dim=c.attention_adapter_dim,
        )
        self.adapter = gated_adapter(
            c.dim, c.adapter_dim, layers=c.adapter_layers, kernel=c.adapter_kernel, stride=c.adapter_stride
        )

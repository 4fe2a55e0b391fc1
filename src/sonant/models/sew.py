"""SEW, squeezed and efficient wav2vec (arXiv 2109.06870): wav2vec 2.0 that attends to every other frame."""

from dataclasses import dataclass, replace

from sonant.layers.conv_extractor import ConvExtractor, ExtractorNorm
from sonant.layers.squeezed import SqueezedEncoder
from sonant.models.encoders import EncoderSettings, transformer_encoder
from sonant.models.maskable import MaskableBackbone
from sonant.models.normalization import ORIGINAL_EPSILON
from sonant.models.waveform_config import WaveformConfig, check_multiple


@dataclass(frozen=True, kw_only=True)
class SEWConfig(WaveformConfig, EncoderSettings):
    """Sizes and rates; the defaults are SEW-tiny. In brackets: Hugging Face's name.

    Attributes:
        squeeze_factor: number of frames that the Transformer takes as one.
    """

    conv_channels: tuple[int, ...] = (64, *(128,) * 4, *(256,) * 4, *(512,) * 4)  # conv_dim
    conv_kernels: tuple[int, ...] = (10, 3, 1, 3, 1, 3, 1, 3, 1, 2, 1, 2, 1)
    conv_strides: tuple[int, ...] = (5, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1)
    conv_bias: bool = False
    extractor_norm: ExtractorNorm = "group"  # feat_extract_norm
    dim: int = 512  # hidden_size
    num_layers: int = 12
    num_heads: int = 8
    feed_forward_dim: int = 2048
    squeeze_factor: int = 2
    position_kernel: int = 31  # num_conv_pos_embeddings
    position_groups: int = 16
    layer_norm_eps: float = 1e-5
    dropout: float = 0.1  # hidden_dropout
    attention_dropout: float = 0.1
    activation_dropout: float = 0.0
    input_dropout: float = 0.1  # feat_proj_dropout
    layerdrop: float = 0.05
    normalize: bool = False  # whether waveforms come with zero mean and unit variance
    normalize_epsilon: float = ORIGINAL_EPSILON  # added to the variance
    sampling_rate: int = 16_000

    def __post_init__(self) -> None:
        super().__post_init__()
        check_multiple(self.dim, num_heads=self.num_heads, position_groups=self.position_groups)


SMALL = SEWConfig(dim=768, num_heads=12, feed_forward_dim=3072)
MID = replace(SMALL, num_layers=24, layerdrop=0.2)


class SEW(MaskableBackbone):
    """Convolutional extractor, projection, masking, Transformer over squeezed frames; see `SqueezedEncoder`.

    Hidden states and `last` have the frames of the extractor: `last` is stretched to them, hidden states are repeated.
    """

    config: SEWConfig
    extractor: ConvExtractor
    encoder: SqueezedEncoder

    def __init__(self, config: SEWConfig) -> None:
        c, channels = config, config.conv_channels[-1]
        extractor = ConvExtractor(
            c.conv_channels, c.conv_kernels, c.conv_strides, bias=c.conv_bias, norm=c.extractor_norm
        )
        super().__init__(c, extractor, channels, linear=channels != c.dim)
        inner = transformer_encoder(c, None)
        self.encoder = SqueezedEncoder(
            c.dim, inner, factor=c.squeeze_factor, kernel=c.position_kernel, groups=c.position_groups
        )

    @property
    def num_layers(self) -> int:
        """Blocks that the encoder has now, whatever the configuration says: some may have been taken out."""
        return len(self.encoder.inner.layers)

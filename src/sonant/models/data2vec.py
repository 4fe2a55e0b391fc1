"""data2vec for speech (arXiv 2202.03555): wav2vec 2.0 with a stack of positional convolutions."""

from dataclasses import dataclass

from sonant.errors import ConfigurationError
from sonant.layers.conv_extractor import ExtractorNorm
from sonant.layers.positions import StackedPositions
from sonant.models.waveform_transformer import WaveformTransformer, WaveformTransformerConfig


@dataclass(frozen=True, kw_only=True)
class Data2VecConfig(WaveformTransformerConfig):
    """Defaults: data2vec audio Base."""

    extractor_norm: ExtractorNorm = "layer"
    position_kernel: int = 19  # conv_pos // pos_conv_depth; conv_pos_kernel_size
    position_depth: int = 5  # pos_conv_depth; num_conv_pos_embeddings
    normalize: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pre_norm or self.extractor_norm != "layer":
            raise ConfigurationError(
                f"pre_norm={self.pre_norm} and extractor_norm={self.extractor_norm!r} were given; a data2vec has its "
                "norms behind the parts of a layer, and one behind every convolution of the extractor. Leave both out."
            )


LARGE = Data2VecConfig(dim=1024, num_layers=24, num_heads=16, feed_forward_dim=4096)


def build_data2vec(config: Data2VecConfig) -> WaveformTransformer:
    """Build a data2vec with initial weights."""
    c = config
    positions = StackedPositions(c.dim, depth=c.position_depth, kernel=c.position_kernel, groups=c.position_groups)
    return WaveformTransformer(config, positions=positions)

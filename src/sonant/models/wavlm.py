"""WavLM (arXiv 2110.13900): HuBERT's network with a gated relative position bias in every layer."""

from dataclasses import dataclass

from sonant.layers.positions import RelativePositions
from sonant.models import waveform_transformer
from sonant.models.waveform_transformer import WaveformTransformer, WaveformTransformerConfig


@dataclass(frozen=True, kw_only=True)
class WavLMConfig(WaveformTransformerConfig):
    """Defaults: WavLM Base and Base+ (they differ in data alone)."""

    num_buckets: int = 320
    max_distance: int = 800  # the code's own default is 1280; the released models use 800


LARGE = WavLMConfig(
    extractor_norm="layer", dim=1024, num_layers=24, num_heads=16, feed_forward_dim=4096, pre_norm=True, normalize=True
)

TINY = WavLMConfig(**waveform_transformer.TINY)


def build_wavlm(config: WavLMConfig) -> WaveformTransformer:
    """A WavLM with fresh weights."""
    positions = RelativePositions(config.num_heads, num_buckets=config.num_buckets, max_distance=config.max_distance)
    return WaveformTransformer(config, relative_positions=positions)

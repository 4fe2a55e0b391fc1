"""HuBERT (arXiv 2106.07447)."""

from dataclasses import dataclass, replace

from sonant.models import waveform_transformer
from sonant.models.waveform_transformer import WaveformTransformer, WaveformTransformerConfig


@dataclass(frozen=True, kw_only=True)
class HuBERTConfig(WaveformTransformerConfig):
    """Defaults: HuBERT Base."""


LARGE = HuBERTConfig(
    extractor_norm="layer",
    dim=1024,
    num_layers=24,
    num_heads=16,
    feed_forward_dim=4096,
    pre_norm=True,
    dropout=0.0,
    attention_dropout=0.0,
    input_dropout=0.0,
    layerdrop=0.0,
    normalize=True,
)
XLARGE = replace(LARGE, dim=1280, num_layers=48, feed_forward_dim=5120)
TINY = HuBERTConfig(**waveform_transformer.TINY)


def build_hubert(config: HuBERTConfig) -> WaveformTransformer:
    """A HuBERT with fresh weights."""
    return WaveformTransformer(config)

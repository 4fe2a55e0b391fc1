"""HuBERT (arXiv 2106.07447), DistilHuBERT (2110.01900) and the mHuBERT at 25 frames a second of TWIST (2305.13009)."""

from dataclasses import dataclass, replace
from typing import Literal

from sonant.layers.positions import BatchNormPositions
from sonant.models import waveform_transformer
from sonant.models.waveform_transformer import WaveformTransformer, WaveformTransformerConfig


@dataclass(frozen=True, kw_only=True)
class HuBERTConfig(WaveformTransformerConfig):
    """Defaults: HuBERT Base."""

    projection_norm: bool = True  # feat_proj_layer_norm
    position_norm: Literal["weight", "batch"] = "weight"  # conv_pos_batch_norm


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
DISTILHUBERT = HuBERTConfig(
    num_layers=2, projection_norm=False, activation_dropout=0.1, input_dropout=0.0, layerdrop=0.0
)
MHUBERT_25HZ = HuBERTConfig(
    conv_channels=(512,) * 8,
    conv_kernels=(10, 3, 3, 3, 3, 2, 2, 2),
    conv_strides=(5, 2, 2, 2, 2, 2, 2, 2),
    position_norm="batch",
)
TINY = HuBERTConfig(**waveform_transformer.TINY)


def build_hubert(config: HuBERTConfig) -> WaveformTransformer:
    """Build a HuBERT with initial weights."""
    positions = None
    if config.position_norm == "batch":
        positions = BatchNormPositions(config.dim, kernel=config.position_kernel, groups=config.position_groups)
    return WaveformTransformer(config, positions=positions, projection_norm=config.projection_norm)

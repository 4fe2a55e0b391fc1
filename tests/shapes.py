"""Sizes of models small enough for a test; the configuration of a family takes them: `WavLMConfig(**SMALL)`."""

from typing import Any

from sonant.models import SEWConfig, W2vBERT2Config, Wav2Vec2ConformerConfig
from sonant.models.wav2vec2_conformer import Positions

BLOCKS: dict[str, Any] = {"dim": 16, "num_layers": 2, "num_heads": 2, "feed_forward_dim": 32}
TINY: dict[str, Any] = {"conv_channels": (8,) * 7, **BLOCKS, "position_kernel": 8, "position_groups": 2}
SMALL: dict[str, Any] = {
    "conv_channels": (16,) * 7,
    "dim": 32,
    "num_layers": 4,
    "num_heads": 4,
    "feed_forward_dim": 64,
    "position_kernel": 16,
    "position_groups": 4,
}
# No two of the sizes are the same, so that no axis is taken for another.
ODD: dict[str, Any] = {"dim": 24, "num_layers": 3, "num_heads": 3, "feed_forward_dim": 40}


def sew(**settings: Any) -> SEWConfig:
    """A tiny SEW, with other settings where they are given."""
    return SEWConfig(**{**TINY, "conv_channels": (8,) * 13, "position_kernel": 7, **settings})


def conformer(positions: Positions | None = "relative", **settings: Any) -> Wav2Vec2ConformerConfig:
    """A tiny wav2vec 2.0 Conformer, with other settings where they are given."""
    sizes = {"conv_channels": (8,) * 7, **BLOCKS, "conv_kernel": 5}
    return Wav2Vec2ConformerConfig(positions=positions, **{**sizes, **settings})


def w2v_bert2(**settings: Any) -> W2vBERT2Config:
    """A tiny w2v-BERT 2.0, with other settings where they are given."""
    return W2vBERT2Config(**{**BLOCKS, "conv_kernel": 5, **settings})

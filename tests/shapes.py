"""Sizes of models small enough for a test; the configuration of any family takes them: `WavLMConfig(**SMALL)`."""

from typing import Any

TINY: dict[str, Any] = {
    "conv_channels": (8,) * 7,
    "dim": 16,
    "num_layers": 2,
    "num_heads": 2,
    "feed_forward_dim": 32,
    "position_kernel": 8,
    "position_groups": 2,
}
SMALL: dict[str, Any] = {
    "conv_channels": (16,) * 7,
    "dim": 32,
    "num_layers": 4,
    "num_heads": 4,
    "feed_forward_dim": 64,
    "position_kernel": 16,
    "position_groups": 4,
}

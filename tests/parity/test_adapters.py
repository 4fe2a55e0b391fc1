"""Adapters, in the layers and behind the encoder, equal those of transformers on the same weights."""

from typing import Any

import pytest

from sonant.models import (
    HuBERTConfig,
    Wav2Vec2Config,
    Wav2Vec2ConformerConfig,
    WaveformTransformerConfig,
    WavLMConfig,
)
from tests.parity.states import assert_parity
from tests.shapes import TINY

STABLE: dict[str, Any] = {**TINY, "pre_norm": True, "extractor_norm": "layer", "layer_norm_eps": 1e-2}
CONFORMER: dict[str, Any] = {name: TINY[name] for name in TINY if not name.startswith("position_")}
CONFIGS: dict[str, WaveformTransformerConfig | Wav2Vec2ConformerConfig] = {
    "wav2vec2, in the layers": Wav2Vec2Config(**STABLE, attention_adapter_dim=5),
    "hubert, in the layers": HuBERTConfig(**STABLE, attention_adapter_dim=3),
    "wav2vec2, behind": Wav2Vec2Config(**TINY, adapter_layers=3),
    "wav2vec2, behind, wider": Wav2Vec2Config(**TINY, adapter_layers=2, adapter_dim=24, adapter_kernel=4),
    "wavlm, behind, narrower": WavLMConfig(**STABLE, adapter_layers=1, adapter_dim=10, adapter_stride=3),
    "wavlm, behind, as long": WavLMConfig(**TINY, adapter_layers=1, adapter_stride=1),
    "conformer, behind": Wav2Vec2ConformerConfig(**CONFORMER, adapter_layers=2, adapter_dim=10),
    "wav2vec2, both": Wav2Vec2Config(**STABLE, attention_adapter_dim=4, adapter_layers=1, adapter_stride=4),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_every_state_of_a_batch_equals_each_clip_alone_in_transformers(name: str) -> None:
    assert_parity(CONFIGS[name], [9_000, 6_400, 16_001])

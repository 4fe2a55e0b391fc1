"""Adapters, in the layers and behind the encoder, equal those of transformers on the same weights."""

from typing import Any

import pytest
import torch

from sonant.benchmark.deviation import relative_error
from sonant.benchmark.peers import peer_states, twin
from sonant.benchmark.subjects import exaggerate
from sonant.layers.packed import Packed
from sonant.models import (
    HuBERTConfig,
    Wav2Vec2Config,
    Wav2Vec2ConformerConfig,
    WaveformTransformerConfig,
    WavLMConfig,
    build,
)
from tests.shapes import TINY

TOLERANCE = 1e-5
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
@torch.no_grad()
def test_every_state_of_a_batch_equals_each_clip_alone_in_transformers(name: str) -> None:
    config = CONFIGS[name]
    torch.manual_seed(0)
    backbone = exaggerate(build(config))
    peer = twin(backbone)
    clips = [torch.randn(size) for size in (9_000, 6_400, 16_001)]
    ours = backbone(Packed.pack(clips))
    last = backbone.adapted(ours) if config.adapter_layers else Packed(ours.last, ours.lengths)
    for number, clip in enumerate(clips):
        states = {name: Packed(state, ours.lengths).unpack()[number] for name, state in ours.hidden_states.items()}
        states["last"] = last.unpack()[number]
        theirs = peer_states(peer, clip[None])
        assert states.keys() == theirs.keys()
        for number_or_last, expected in theirs.items():
            assert states[number_or_last].shape == expected[0].shape
            assert relative_error(states[number_or_last], expected[0]) <= TOLERANCE, number_or_last

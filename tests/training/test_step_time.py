"""The duration of a step: its bounds, and that nothing else changes."""

from dataclasses import replace

import pytest
import torch

from sonant.models import DiscreteBERTConfig, W2vBERT2Config, Wav2Vec2Config, Wav2VecConfig, WavLMConfig
from sonant.pretraining import (
    Batching,
    CPCConfig,
    MaskedContrastConfig,
    MaskedPredictionConfig,
    MaskedTokensConfig,
    MFCCTargets,
    W2vBERTObjectiveConfig,
)
from sonant.training import Training, step_time
from sonant.training.runs import Stage
from sonant.training.step_time import NotMeasured, measure_step
from tests.shapes import TINY

BATCHING = Batching(batch_seconds=4.0, max_seconds=2.0, min_seconds=0.5)
LAYOUT = [(0, 32_000), (1, 20_000), (2, 12_000)]
CONV = {"conv_channels": (8,) * 5, "dim": 8, "context_kernels": (2, 3)}
CONFORMER = W2vBERT2Config(dim=16, num_layers=2, num_heads=2, feed_forward_dim=20, conv_kernel=5, layerdrop=0.0)


def stage(objective: object, **training: object) -> Stage:
    return Stage(name="some", objective=objective, batching=BATCHING, training=Training(steps=10, **training))


@pytest.mark.parametrize(
    ("model", "objective"),
    [
        (WavLMConfig(**TINY), MaskedPredictionConfig(targets=MFCCTargets(num_clusters=8))),
        (Wav2Vec2Config(**TINY), MaskedContrastConfig(codebook_size=8)),
        (Wav2VecConfig(), CPCConfig()),
        (CONFORMER, W2vBERTObjectiveConfig(contrast_layer=1, codebook_size=8, label_codebook_size=16)),
    ],
)
def test_every_objective_on_speech_is_measured_whole_and_leaves_random_numbers_alone(model, objective) -> None:
    before = torch.get_rng_state()
    found = measure_step(model, stage(objective), LAYOUT[1:], "cpu", limit_seconds=600)
    assert 0 < found.lowest <= found.expected <= found.highest
    assert found.measured_audio == found.batch_audio == 2.0
    assert torch.equal(torch.get_rng_state(), before)


def test_less_than_a_batch_is_measured_where_time_is_short_and_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time that grows with the operations is predicted from the first clip, whatever the batches in a step."""
    spent: list[float] = []

    def timed(once, device, deadline):
        once()
        spent.append(1.0)
        return [0.5] * 3

    monkeypatch.setattr(step_time, "_timed", timed)
    model, objective = WavLMConfig(**TINY), MaskedPredictionConfig(targets=MFCCTargets(num_clusters=8))
    one, four = (
        measure_step(model, stage(objective, grad_accumulation=count), LAYOUT, "cpu", limit_seconds=0)
        for count in (1, 4)
    )
    assert (one.measured_audio, one.batch_audio) == (2.0, 4.0)
    update = 0.5
    assert one.lowest == one.highest
    assert (four.expected - update) / (one.expected - update) == pytest.approx(4)
    assert 0.9 < (one.expected - update) / 0.5 < 2.1  # 4 s of audio after 2 s, in shorter clips


def test_what_is_not_measured_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotMeasured, match="codes"):
        measure_step(DiscreteBERTConfig(), stage(MaskedTokensConfig()), LAYOUT, "cpu", limit_seconds=1)
    monkeypatch.setattr(step_time, "available_memory", lambda _: 10 * 2**20)
    large = replace(WavLMConfig(**TINY), feed_forward_dim=100_000)
    with pytest.raises(NotMeasured, match="GiB are available"):
        measure_step(large, stage(MaskedPredictionConfig()), LAYOUT, "cpu", limit_seconds=1)

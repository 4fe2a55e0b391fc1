"""Self-distillation: codebooks and teacher against their formulas, and the promises of the objective."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sonant.data import WaveformStore
from sonant.errors import ConfigurationError
from sonant.layers.masking import SpanMasking
from sonant.layers.packed import Packed
from sonant.models import WavLMConfig, build
from sonant.pretraining import Batching, SelfDistillation, SelfDistillationConfig, SpeechBatch, SpeechBatches
from sonant.pretraining.self_distillation import FAINTEST, OnlineCodebooks
from sonant.training import Training, train

CONFIG = SelfDistillationConfig(top_layers=2, codebook_size=6, decay_steps=10)


def objective_for(config: WavLMConfig, **options: Any) -> SelfDistillation:
    torch.manual_seed(0)
    return SelfDistillation(build(config), replace(CONFIG, **options)).train()


def batch_for(objective: SelfDistillation, samples: list[int]) -> SpeechBatch:
    generator = torch.Generator().manual_seed(1)
    frames = sum(objective.backbone.num_frames(n) for n in samples)
    speech = Packed.pack([0.1 * torch.randn(n, generator=generator) for n in samples])
    return SpeechBatch(speech, torch.rand(frames, generator=generator) < 0.5)


def test_codebooks_are_running_means_of_the_frames_nearest_to_them() -> None:
    torch.manual_seed(0)
    codebooks, frames = OnlineCodebooks(2, 3, 4, decay=0.9), torch.randn(2, 7, 4)
    sums, counts = codebooks.sums.clone(), codebooks.counts.clone()
    codes = codebooks(frames)
    for book in range(2):
        nearest = torch.cdist(frames[book], sums[book]).argmin(1)
        assert torch.equal(codes[:, book], nearest)
        for code in range(3):
            mine = frames[book][nearest == code]
            torch.testing.assert_close(codebooks.sums[book, code], 0.9 * sums[book, code] + 0.1 * mine.sum(0))
            expected = 0.9 * counts[book, code] + 0.1 * len(mine)
            torch.testing.assert_close(codebooks.counts[book, code], expected)


def test_codes_that_get_no_frames_stay_where_they_are() -> None:
    """However long: a count that falls to 0 would make them NaN."""
    codebooks = OnlineCodebooks(1, 5, 3, decay=0.5)
    before = codebooks.sums[0] / codebooks.counts[0, :, None]
    frames = before[:1].expand(1, 4, 3)
    for _ in range(400):
        codebooks(frames)
    assert codebooks.counts.min() > FAINTEST / 4
    torch.testing.assert_close(codebooks.sums[0] / codebooks.counts[0, :, None], before)


def test_the_teacher_is_the_running_mean_of_the_encoder(tiny: WavLMConfig) -> None:
    objective = objective_for(tiny, teacher_steps=3)
    expected = [weights.clone() for weights in objective.backbone.encoder.parameters()]
    for step in range(6):
        objective.anneal(step)
        if 0 < step <= 3:
            share = 0.999 + 0.0009 * step / 10
            now = objective.backbone.encoder.parameters()
            expected = [share * mean + (1 - share) * weights for mean, weights in zip(expected, now, strict=True)]
        for mean, wanted in zip(objective.teacher.parameters(), expected, strict=True):
            torch.testing.assert_close(mean, wanted)
        with torch.no_grad():
            for weights in objective.backbone.encoder.parameters():
                weights.add_(torch.randn_like(weights))


def test_the_loss_is_the_formula(tiny: WavLMConfig) -> None:
    objective = objective_for(tiny).eval()
    batch = batch_for(objective, [8_000, 5_000])
    expected = 0.0
    with torch.no_grad():
        features = objective.backbone.features(batch.speech)
        seen = objective.backbone.encode(features)
        output = objective.backbone.encode(features, mask=batch.mask).last
        for book, layer in enumerate((1, 2)):
            clips = seen.hidden_states[layer].split(features.sizes)
            targets = torch.cat([(clip - clip.mean(0)) / clip.std(0, correction=0) for clip in clips])[batch.masked]
            vectors = objective.codebooks.sums[book] / objective.codebooks.counts[book, :, None]
            codes = torch.cdist(targets, vectors).argmin(1)
            logits = objective.head(output[batch.masked])[:, 6 * book : 6 * book + 6]
            expected += torch.nn.functional.cross_entropy(logits, codes, reduction="sum").item() / 2
    loss = objective(batch)
    assert loss.sum.item() == pytest.approx(expected, rel=1e-4)
    assert loss.count == len(batch.masked)


def test_the_gradient_reaches_the_student_alone(tiny: WavLMConfig) -> None:
    objective = objective_for(replace(tiny, layerdrop=0.0))
    objective(batch_for(objective, [8_000, 5_000])).sum.backward()
    for name, parameter in objective.named_parameters():
        assert (parameter.grad is None) == name.startswith("teacher."), name


def test_the_teacher_drops_nothing_and_evaluation_moves_no_codebook(tiny: WavLMConfig) -> None:
    objective = objective_for(replace(tiny, dropout=0.5, input_dropout=0.5))
    normed = Packed(torch.randn(9, 8), torch.tensor([5, 4]))
    assert torch.equal(objective.targets(normed), objective.targets(normed))
    before = objective.codebooks.sums.clone()
    objective.eval()(batch_for(objective, [8_000]))
    assert torch.equal(objective.codebooks.sums, before)
    objective.train()(batch_for(objective, [8_000]))
    assert not torch.equal(objective.codebooks.sums, before)


def test_the_loss_of_a_batch_is_the_sum_over_its_clips(tiny: WavLMConfig) -> None:
    objective = objective_for(tiny).eval()
    batch = batch_for(objective, [8_000, 5_000, 6_000])
    masks = batch.mask.split([objective.backbone.num_frames(size) for size in batch.speech.sizes])
    alone = [SpeechBatch(Packed.pack([clip]), mask) for clip, mask in zip(batch.speech, masks, strict=True)]
    torch.testing.assert_close(objective(batch).sum, sum(objective(each).sum for each in alone), rtol=1e-5, atol=0)


def test_resumed_equals_uninterrupted(tiny: WavLMConfig, waveforms: WaveformStore, tmp_path: Path) -> None:
    """Teacher and codebooks included."""

    def trained(folder: Path, *stops: int) -> Iterator[torch.Tensor]:
        for stop in (*stops, None):
            objective = objective_for(tiny)
            batching = Batching(batch_seconds=6.0, max_seconds=2.0, min_seconds=0.5)
            batches = SpeechBatches(waveforms, objective.backbone, batching=batching, masking=SpanMasking())
            train(objective, batches, Training(steps=5, lr=1e-3, save_every=2), folder, stop_at=stop)
        assert not torch.equal(objective.teacher.norm.weight, objective.backbone.encoder.norm.weight)
        return iter(objective.state_dict().values())

    whole, parts = trained(tmp_path / "whole"), trained(tmp_path / "parts", 1, 3)
    assert all(torch.equal(one, other) for one, other in zip(whole, parts, strict=True))


def test_collapsed_codebooks_are_said_and_too_many_layers_refused(tiny: WavLMConfig) -> None:
    objective = objective_for(tiny)
    assert objective.warning({"target_clusters_in_use": 2.0}) is not None
    assert objective.warning({"target_clusters_in_use": 8.0}) is None
    with pytest.raises(ConfigurationError, match="top_layers=3 was given; expected 1 to 2"):
        objective_for(tiny, top_layers=3)

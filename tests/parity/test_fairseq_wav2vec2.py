"""The objective of wav2vec 2.0 equals fairseq's on recorded noise and negatives: losses, gradients, masked output."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sonant.checkpoints import load_checkpoint
from sonant.layers.gumbel_quantizer import Temperature
from sonant.layers.packed import Packed
from sonant.models import build
from sonant.pretraining import MaskedContrast, MaskedContrastConfig, SpeechBatch
from tests.parity.recorded import Case, assert_gradients, assert_near, recording, save_hydra

CASES = recording("wav2vec2")


def make(case: Case, folder: Path) -> MaskedContrast:
    """Our objective with the weights of the original, read from a file as fairseq writes it."""
    checkpoint = load_checkpoint(save_hydra(case, folder / "fairseq.pt", "wav2vec2", "audio_pretraining"))
    settings = case.settings
    start, end, decay = settings["latent_temp"]
    diversity, penalty = settings["loss_weights"]
    config = MaskedContrastConfig(
        num_codebooks=settings["latent_groups"],
        codebook_size=settings["latent_vars"],
        quantized_dim=settings["final_dim"],
        projection_dim=settings["final_dim"],
        temperature=Temperature(start=start, end=end, decay=decay),
        num_negatives=settings["num_negatives"],
        logit_temperature=settings["logit_temp"],
        diversity_weight=diversity,
        feature_penalty=penalty,
        extractor_gradient=settings["feature_grad_mult"],
        feature_dropout=0.0,
    )
    backbone = build(checkpoint.config)
    backbone.load_state_dict(checkpoint.backbone_state)
    objective = MaskedContrast(backbone, config)
    objective.load_head(checkpoint.heads["pretraining"].tensors, {})
    objective.anneal(settings.get("num_updates", 0))
    return objective.train()


def batch_of(case: Case) -> SpeechBatch:
    return SpeechBatch(Packed.pack(case.clips), case.arrays["mask"])


@pytest.mark.parametrize("name", CASES)
def test_loss(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    objective, numbers = make(case, tmp_path), case.numbers
    assert objective.contrast.quantizer.temperature == pytest.approx(numbers["temperature"])
    loss = objective(batch_of(case), noise=case.arrays["noise"], negatives=case.arrays["negatives"].long())
    assert loss.count == numbers["sample_size"]
    assert loss.sum.item() == pytest.approx(numbers["loss"], rel=1e-5)
    metrics = {key: total / count for key, (total, count) in loss.metrics.items()}
    assert metrics["contrastive_loss"] * loss.count == pytest.approx(numbers["loss_0"], rel=1e-5)
    assert metrics["contrastive_accuracy"] * loss.count == numbers["correct"]
    assert metrics["code_perplexity"] == pytest.approx(numbers["code_perplexity"], rel=1e-5)
    assert metrics["probability_perplexity"] == pytest.approx(numbers["prob_perplexity"], rel=1e-5)
    assert metrics["feature_penalty"] == pytest.approx(numbers["features_pen"], rel=1e-5)
    loss.sum.backward()
    assert_gradients(objective, case)


@pytest.mark.parametrize("name", CASES)
def test_masked_output(name: str, tmp_path: Path) -> None:
    """The context of the masked speech, and the codes of the targets with the same noise."""
    case = CASES[name]
    objective, batch = make(case, tmp_path), batch_of(case)
    with torch.no_grad():
        features = objective.backbone.features(batch.speech)
        assert_near(objective.backbone.encode(features, mask=batch.mask).last, case.arrays["last"])
        normed = objective.backbone.projection.norm(features.values)
        quantized = objective.contrast.quantizer(normed[batch.mask], noise=case.arrays["noise"])
    assert torch.equal(quantized.codes, case.arrays["codes"].long())


def test_a_clip_alone(tmp_path: Path) -> None:
    """The original's batch is the sum of its clips, but for the statistics of the codebook over the batch."""
    case = CASES["base"]
    objective, batch = make(case, tmp_path), batch_of(case)
    objective.config = replace(objective.config, diversity_weight=0.0)
    noise, negatives = case.arrays["noise"].chunk(2), case.arrays["negatives"].long().chunk(2)
    rows = len(negatives[0])
    clips, masks = batch.speech.unpack(), batch.mask.chunk(2)
    parts = [
        objective(SpeechBatch(Packed.pack([clips[i]]), masks[i]), noise=noise[i], negatives=negatives[i] - i * rows)
        for i in range(2)
    ]
    total = sum(part.metrics["contrastive_loss"][0] for part in parts)
    assert total == pytest.approx(case.numbers["loss_0"], rel=1e-5)

"""The objective of HuBERT equals fairseq's on recorded masks and targets: losses, gradients, masked output."""

from pathlib import Path

import pytest
import torch

from sonant.checkpoints import load_checkpoint
from sonant.layers.packed import Packed
from sonant.models import build
from sonant.pretraining import MaskedPrediction, MaskedPredictionConfig, MFCCTargets, SpeechBatch
from tests.parity.recorded import Case, assert_gradients, assert_near, recording, save_hydra

CASES = recording("hubert")


def make(case: Case, folder: Path) -> MaskedPrediction:
    checkpoint = load_checkpoint(save_hydra(case, folder / "fairseq.pt", "hubert", "hubert_pretraining"))
    settings = case.settings
    backbone = build(checkpoint.config)
    backbone.load_state_dict(checkpoint.backbone_state)
    config = MaskedPredictionConfig(
        targets=MFCCTargets(num_clusters=settings["clusters"][0]),
        projection_dim=settings["final_dim"],
        temperature=settings["logit_temp"],
        unmasked_weight=settings["pred_nomask_weight"],
        feature_penalty=settings["loss_weights"][0],
        extractor_gradient=settings["feature_grad_mult"],
    )
    objective = MaskedPrediction(backbone, config)
    head = checkpoint.heads["pretraining"].tensors
    with torch.no_grad():
        for name, tensor in objective.head_tensors().items():
            tensor.copy_(head[name])
    return objective.train()


def batch_of(case: Case) -> SpeechBatch:
    return SpeechBatch(Packed.pack(case.clips), case.arrays["mask"], case.arrays["targets"].long())


@pytest.mark.parametrize("name", CASES)
def test_loss(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    objective, numbers = make(case, tmp_path), case.numbers
    loss = objective(batch_of(case))
    metrics = loss.metrics
    assert metrics["masked_loss"] == pytest.approx((numbers["loss_m_0"], numbers["count_m_0"]), rel=1e-5)
    assert metrics["unmasked_loss"] == pytest.approx((numbers["loss_u_0"], numbers["count_u_0"]), rel=1e-5)
    assert metrics["masked_accuracy"][0] == numbers["correct_m_0"]
    assert metrics["unmasked_accuracy"][0] == numbers["correct_u_0"]
    assert metrics["feature_penalty"][0] == pytest.approx(numbers["features_pen"], rel=1e-5)
    assert loss.count == numbers["sample_size"]
    assert loss.sum.item() == pytest.approx(numbers["loss"], rel=1e-5)
    loss.sum.backward()
    assert_gradients(objective, case)


@pytest.mark.parametrize("name", CASES)
def test_masked_output(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    objective, batch = make(case, tmp_path), batch_of(case)
    with torch.no_grad():
        features = objective.backbone.features(batch.speech)
        assert_near(objective.backbone.encode(features, mask=batch.mask).last, case.arrays["last"])

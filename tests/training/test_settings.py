"""Parts of what is trained with a learning rate of their own, without decay, or frozen at first or at last."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sonant.errors import ConfigurationError, UnknownName
from sonant.layers.packed import Packed
from sonant.models import WavLMConfig, build
from sonant.pretraining import MaskedPrediction, MaskedPredictionConfig, MFCCTargets, SpeechBatch
from sonant.training import PartSettings, Training, train
from sonant.training.settings import Updates
from tests.shapes import TINY
from tests.training.points import SHORT, Regression, points, same, trained


def after(folder: Path, training: Training, steps: int) -> dict[str, torch.Tensor]:
    objective = Regression()
    train(objective, points, training, folder, stop_at=steps)
    return {name: tensor.clone() for name, tensor in objective.state_dict().items()}


def test_a_part_is_frozen_until_its_step_and_learns_then(tmp_path: Path) -> None:
    training = replace(SHORT, parts=(PartSettings(name="net.0", frozen_steps=6),))
    fresh = Regression().state_dict()
    before, behind = (after(tmp_path / str(steps), training, steps) for steps in (6, 8))
    assert all(torch.equal(before[name], fresh[name]) == name.startswith("net.0.") for name in fresh)
    assert not any(torch.equal(behind[name], fresh[name]) for name in fresh)
    assert same(list(after(tmp_path / "6", training, 8).values()), list(behind.values())), "resumed while frozen"


def test_a_part_learns_until_its_step_and_is_frozen_then(tmp_path: Path) -> None:
    training = replace(SHORT, parts=(PartSettings(name="net.0", frozen_from=6),))
    plain, before, behind = (
        after(tmp_path / name, settings, steps)
        for name, settings, steps in (("plain", SHORT, 6), ("parts", training, 6), ("whole", training, 9))
    )
    assert same(list(plain.values()), list(before.values()))
    assert all(torch.equal(before[name], behind[name]) == name.startswith("net.0.") for name in plain)
    assert same(list(after(tmp_path / "parts", training, 9).values()), list(behind.values())), "resumed when frozen"


def test_a_frozen_extractor_has_no_backward_pass() -> None:
    backbone = build(WavLMConfig(**TINY))
    objective = MaskedPrediction(backbone, MaskedPredictionConfig(targets=MFCCTargets(num_clusters=5)))
    updates = Updates(objective, replace(SHORT, parts=(PartSettings(name="backbone.extractor", frozen_from=1),)))
    frames = backbone.num_frames(4_000)
    batch = SpeechBatch(Packed.pack([torch.randn(4_000)]), torch.arange(frames) % 2 == 0, torch.zeros(frames).long())
    for step in (0, 1):
        updates.prepare(step)
        assert backbone.features(batch.speech).values.requires_grad == (step == 0)
        objective(batch).sum.backward()
        updates.step(skip=torch.tensor(False))
    assert not updates.prepare(2)


def test_each_parameter_has_the_rate_and_decay_of_its_part() -> None:
    """The most exact name counts."""
    parts = (PartSettings(name="net", lr_factor=0.5), PartSettings(name="net.3.bias", lr_factor=0.1))
    objective = Regression()
    updates = Updates(objective, replace(SHORT, parts=parts, decay_vectors=False))
    updates.prepare(3)
    names = {id(parameter): name for name, parameter in objective.named_parameters()}
    given = {
        names[id(parameter)]: (group["lr"] / updates.lr, group["weight_decay"])
        for group in updates.optimizer.param_groups
        for parameter in group["params"]
    }
    half, plain = pytest.approx(0.5), SHORT.weight_decay
    assert given == {
        "net.0.weight": (half, plain),
        "net.0.bias": (half, 0.0),
        "net.3.weight": (half, plain),
        "net.3.bias": (pytest.approx(0.1), 0.0),
    }


def test_a_part_that_changes_nothing(tmp_path: Path) -> None:
    plain = trained(tmp_path / "plain")
    assert same(plain, trained(tmp_path / "parts", training=replace(SHORT, parts=(PartSettings(name="net.0"),))))


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(UnknownName, match="part of the training 'net.9'.*net.0"):
        Updates(Regression(), replace(SHORT, parts=(PartSettings(name="net.9"),)))
    with pytest.raises(ConfigurationError, match="never be updated: frozen_steps=5, frozen_from=5"):
        PartSettings(name="net.0", frozen_steps=5, frozen_from=5)
    with pytest.raises(ConfigurationError, match="save_every=0"):
        replace(SHORT, save_every=0)

"""The loss of what is held out: always on the same batches, without a trace in the training, and the best weights."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sonant.errors import CheckpointError, ConfigurationError
from sonant.training import train
from sonant.training.validation import Criterion, load_best
from tests.training.points import SHORT, Batches, Regression, points, same, trained, weights

TRAINING = replace(SHORT, validate_every=2, log_every=12)


class HeldOut(Batches):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, number: int) -> object:
        assert 0 <= number < 3
        return super().__getitem__(1_000 + number)


def lines(folder: Path) -> dict[int, float]:
    reports = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return {report["step"]: report["held_out_loss"] for report in reports if "held_out_loss" in report}


def test_validation_leaves_no_trace_and_keeps_the_best_weights(tmp_path: Path) -> None:
    objective = Regression()
    torch.manual_seed(1)
    train(objective, points, TRAINING, tmp_path, held_out=HeldOut())
    assert same(weights(objective), trained(tmp_path / "without", training=TRAINING))
    losses = lines(tmp_path)
    assert list(losses) == [2, 4, 6, 8, 10, 12]
    best = Regression()
    load_best(tmp_path, best)
    best.eval()
    parts = [best(HeldOut()[number]) for number in range(3)]
    expected = sum(part.sum.item() for part in parts) / sum(int(part.count) for part in parts)
    assert min(losses.values()) == pytest.approx(expected, rel=1e-4)


def test_a_resumed_run_knows_the_best_loss(tmp_path: Path) -> None:
    """A rate so high that the loss rises again: what comes after the interruption is no better."""
    training = replace(TRAINING, lr=1.0, steps=24)
    for stop in (14, None):
        torch.manual_seed(1)
        train(Regression(), points, training, tmp_path, held_out=HeldOut(), stop_at=stop)
    losses = lines(tmp_path)
    best = torch.load(tmp_path / "best.pt", weights_only=True)
    assert losses[best["step"]] == min(losses.values())
    assert best["step"] < max(losses)


@pytest.mark.parametrize("kept", [0, 100])
def test_damaged_best_weights_are_named(kept: int, tmp_path: Path) -> None:
    train(Regression(), points, TRAINING, tmp_path, held_out=HeldOut())
    best = tmp_path / "best.pt"
    best.write_bytes(best.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"best\.pt cannot be read \(.+\): the file is damaged.* remove it"):
        load_best(tmp_path, Regression())


def test_what_a_run_without_a_state_left_is_not_taken_up(tmp_path: Path) -> None:
    train(Regression(), points, TRAINING, tmp_path, held_out=HeldOut())
    (tmp_path / "state.pt").unlink()
    torn = (tmp_path / "metrics.jsonl").read_text()[:-9]
    (tmp_path / "metrics.jsonl").write_text(torn)
    objective = Regression()
    torch.manual_seed(1)
    train(objective, points, TRAINING, tmp_path)
    load_best(tmp_path, objective)
    assert same(weights(objective), trained(tmp_path / "without", training=TRAINING))


@pytest.mark.parametrize("higher_is_better", [False, True])
def test_the_best_weights_are_those_of_the_criterion(higher_is_better: bool, tmp_path: Path) -> None:
    """The squared error falls, so that the highest one is the first; after an interruption too."""
    criterion = Criterion("error", higher_is_better=higher_is_better)
    for stop in (5, None):
        torch.manual_seed(1)
        train(Regression(), points, TRAINING, tmp_path, held_out=HeldOut(), criterion=criterion, stop_at=stop)
    losses = lines(tmp_path)
    best = torch.load(tmp_path / "best.pt", weights_only=True)
    wanted = max if higher_is_better else min
    assert best["step"] == wanted(losses, key=losses.__getitem__)


def test_among_equal_values_and_those_beyond_the_most_another_metric_decides() -> None:
    criterion = Criterion("wer", most=1.0, tie_break="cer")
    rates = [(1.0, 1.0), (1.02, 0.8), (1.0, 0.8), (0.99, 0.9), (0.99, 0.7), (0.5, 0.9)]  # from worst to best
    costs = [criterion.cost({"held_out_wer": wer, "held_out_cer": cer}) for wer, cer in rates]
    assert costs == sorted(costs, reverse=True)
    assert costs[1] == costs[2] > costs[3] > costs[4]


def test_a_training_that_gets_no_better_ends_early(tmp_path: Path) -> None:
    """At a rate so high that the loss rises: through an interruption, and started again, it ends at the same step."""
    training = replace(TRAINING, lr=1.0, steps=200, patience=3, save_every=50)

    def run(folder: Path, *stops: int) -> list[torch.Tensor]:
        for stop in (*stops, None):
            objective = Regression()
            torch.manual_seed(1 if stop in (None, stops[0] if stops else None) and not folder.exists() else 99)
            train(objective, points, training, folder, held_out=HeldOut(), stop_at=stop)
        return weights(objective)

    whole = run(tmp_path / "whole")
    losses = lines(tmp_path / "whole")
    best = min(losses, key=losses.__getitem__)
    assert max(losses) == best + 3 * training.validate_every < 200
    assert "stopped" in (tmp_path / "whole" / "metrics.jsonl").read_text()
    assert same(run(tmp_path / "parts", best + 1, best + 3), whole)
    assert lines(tmp_path / "parts") == losses
    run(tmp_path / "whole")
    assert lines(tmp_path / "whole") == losses


def test_patience_needs_something_to_evaluate(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="patience=3"):
        train(Regression(), points, replace(TRAINING, patience=3), tmp_path)

"""The loop: resumed equals uninterrupted, and what it does with counts, schedules and bad steps."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sonant.errors import CheckpointError, ConfigurationError, ManifestError
from sonant.training import DivergedError, Linear, TrainingWarning, TriStage, plot_curves, train
from tests.training.points import SHORT, Batches, Points, Regression, points, trained, weights


@pytest.mark.parametrize("grad_accumulation", [1, 3])
@pytest.mark.parametrize("stops", [(1,), (4,), (5, 11), (2, 3, 7)])
def test_interrupted_equals_uninterrupted_to_the_bit(
    tmp_path: Path, stops: tuple[int, ...], grad_accumulation: int
) -> None:
    training = replace(SHORT, grad_accumulation=grad_accumulation)
    whole = trained(tmp_path / "whole", training=training)
    parts = trained(tmp_path / "parts", *stops, training=training)
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))


def test_a_crash_between_saves_goes_on_from_the_last_save(tmp_path: Path) -> None:
    class Crash(Exception):
        pass

    def crash(number: int, batch: Points) -> Points:
        if number == 10:
            raise Crash
        return batch

    objective = Regression()
    torch.manual_seed(1)
    with pytest.raises(Crash):
        train(objective, Batches(crash), SHORT, tmp_path / "crashed")
    assert torch.load(tmp_path / "crashed" / "state.pt", weights_only=True)["step"] == 8
    resumed, whole = trained(tmp_path / "crashed"), trained(tmp_path / "whole")
    assert all(torch.equal(a, b) for a, b in zip(whole, resumed, strict=True))
    steps = [json.loads(line)["step"] for line in (tmp_path / "crashed" / "metrics.jsonl").read_text().splitlines()]
    assert steps == [3, 6, 9, 12]


def test_a_finished_run_is_left_alone(tmp_path: Path) -> None:
    done = trained(tmp_path)
    again = Regression()
    train(again, points, SHORT, tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(done, weights(again), strict=True))


def test_accumulated_batches_equal_one_big_batch(tmp_path: Path) -> None:
    """Because sums are divided by counts once, however unequal the parts are."""

    def merge(number: int, _: Points) -> Points:
        parts = [points[3 * number + each] for each in range(3)]
        return Points(torch.cat([part.x for part in parts]), torch.cat([part.y for part in parts]))

    results = []
    for batches, grad_accumulation in ((points, 3), (Batches(merge), 1)):
        objective = Regression().eval()
        objective.net[1].p = 0.0
        train(
            objective, batches, replace(SHORT, grad_accumulation=grad_accumulation), tmp_path / str(grad_accumulation)
        )
        results.append(weights(objective))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_state_of_another_model_is_refused(tmp_path: Path) -> None:
    trained(tmp_path, 4)
    other = Regression()
    other.net[3] = nn.Linear(16, 2)
    with pytest.raises(CheckpointError, match="new folder"):
        train(other, points, SHORT, tmp_path)


def test_a_state_of_other_settings_is_refused(tmp_path: Path) -> None:
    trained(tmp_path, 4)
    before = (tmp_path / "state.pt").read_bytes()
    for changes, message in (
        ({"steps": 24}, "steps: there 12, now 24"),  # the schedule up to here was another
        ({"schedule": TriStage()}, "schedule.type: there 'Linear', now 'TriStage'"),
        ({"betas": (0.9, 0.9)}, "betas"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            train(Regression(), points, replace(SHORT, **changes), tmp_path)
    assert (tmp_path / "state.pt").read_bytes() == before
    train(Regression(), points, replace(SHORT, log_every=1, save_every=1), tmp_path)


def test_a_state_of_an_earlier_version_is_taken_up(tmp_path: Path) -> None:
    """Its settings have the names of that version."""
    whole = trained(tmp_path / "whole")
    trained(tmp_path, 4)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    for earlier, now in (("peak_rate", "lr"), ("accumulate", "grad_accumulation")):
        state["settings"][earlier] = state["settings"].pop(now)
    torch.save(state, tmp_path / "state.pt")
    assert all(torch.equal(a, b) for a, b in zip(whole, trained(tmp_path), strict=True))


def test_a_truncated_state_is_refused(tmp_path: Path) -> None:
    trained(tmp_path, 4)
    state = tmp_path / "state.pt"
    state.write_bytes(state.read_bytes()[:500])
    with pytest.raises(CheckpointError, match="cannot go on"):
        train(Regression(), points, SHORT, tmp_path)


def test_one_bad_batch_is_passed_over_and_many_stop_the_run(tmp_path: Path) -> None:
    def bad(until: int) -> Batches:
        return Batches(lambda number, batch: replace(batch, x=batch.x * float("nan")) if number < until else batch)

    objective = Regression()
    train(objective, bad(2), SHORT, tmp_path / "few")
    assert all(weight.isfinite().all() for weight in weights(objective))
    with pytest.raises(DivergedError, match="not finite"):
        train(Regression(), bad(1_000), replace(SHORT, steps=100), tmp_path / "many")
    with pytest.raises(DivergedError, match="not finite for 3 steps"):
        train(Regression(), bad(1_000), replace(SHORT, steps=3), tmp_path / "none good")


class Annealing(Regression):
    """Notes when it is annealed, and dislikes every report from the sixth step on."""

    def __init__(self) -> None:
        super().__init__()
        self.annealed: list[int] = []

    def anneal(self, step: int) -> None:
        self.annealed.append(step)

    def warning(self, metrics: dict[str, float]) -> str | None:
        assert metrics["error"] > 0
        return "The codes have collapsed." if len(self.annealed) >= 6 else None


def test_an_objective_is_annealed_before_each_update_with_the_updates_done(tmp_path: Path) -> None:
    whole, resumed = Annealing(), Annealing()
    with pytest.warns(TrainingWarning):
        train(whole, points, replace(SHORT, grad_accumulation=2), tmp_path / "whole")
    assert whole.annealed == list(range(12))
    with pytest.warns(TrainingWarning):
        train(Annealing(), points, SHORT, tmp_path / "resumed", stop_at=7)
    train(resumed, points, SHORT, tmp_path / "resumed")
    assert resumed.annealed == list(range(7, 12))


def test_what_an_objective_warns_of_is_said_once_and_kept_in_every_report(tmp_path: Path) -> None:
    with pytest.warns(TrainingWarning, match="Step 6: The codes have collapsed") as caught:
        train(Annealing(), points, SHORT, tmp_path)
    assert len(caught) == 1
    reports = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [report["step"] for report in reports if "warning" in report] == [6, 9, 12]


def test_metrics_are_averages_over_what_they_count(tmp_path: Path) -> None:
    objective = Regression()
    objective.net[1].p = 0.0
    expected, count = 0.0, 0
    with torch.no_grad():
        for number in range(2):
            loss = objective(points[number])
            expected, count = expected + loss.sum.item(), count + int(loss.count)
    train(objective, points, replace(SHORT, steps=2, lr=1e-12, log_every=2), tmp_path)
    report = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert report["loss"] == pytest.approx(expected / count, rel=1e-3)
    assert report["error"] == report["loss"]


@given(steps=st.integers(10, 500), warmup=st.floats(0, 0.5))
def test_linear_rises_to_the_peak_and_falls_to_zero(steps: int, warmup: float) -> None:
    scales = [Linear(warmup=warmup).scale(step, steps) for step in range(steps)]
    top = scales.index(max(scales))
    assert all(0 < scale <= 1 for scale in scales)
    assert scales[:top] == sorted(scales[:top])
    assert scales[top:] == sorted(scales[top:], reverse=True)
    assert max(scales) > 1 - 2 / steps - 1e-9
    assert scales[-1] <= 1 / (steps * (1 - warmup)) + 1e-9


def test_tri_stage_has_three_stages() -> None:
    schedule = TriStage(warmup=0.1, hold=0.4, decay=0.5, initial_scale=0.01, final_scale=0.05)
    scales = [schedule.scale(step, 1_000) for step in (0, 50, 100, 499, 750, 1_000)]
    assert scales == pytest.approx([0.01, 0.505, 1.0, 1.0, 0.05**0.5, 0.05])


@pytest.mark.parametrize("shares", [{"warmup": 0.9, "hold": 0.4}, {"warmup": -0.1}])
def test_impossible_schedules_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="shares"):
        TriStage(**shares)


def test_curves_need_metrics(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no metrics"):
        plot_curves({"mfcc": {"nothing": tmp_path}}, tmp_path / "curves.png")

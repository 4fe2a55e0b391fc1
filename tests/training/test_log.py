"""The log: classes in use, audio and speed of a whole training, and trackers of a resumed one."""

import json
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sonant.errors import ConfigurationError, MissingExtra, SonantWarning, UnknownName
from sonant.loss import Loss, count_classes, count_predictions
from sonant.training import Monitoring, train
from sonant.training.log import LossSums
from sonant.training.trackers import check_trackers, open_tracker
from tests.training.points import SHORT, Regression, points, same, trained, weights


def reports(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_classes_in_use_are_counted_over_all_batches() -> None:
    """Each batch has one class, both together two in shares of 3:1."""
    sums = LossSums()
    for classes in ([4, 4, 4], [7]):
        loss = Loss(torch.zeros(()), 1, {"in_use": count_classes(torch.tensor(classes), 10)})
        sums.add(loss)
    assert sums.averages()["in_use"] == pytest.approx(0.75**-0.75 * 0.25**-0.25)
    assert LossSums().averages() == {}


def test_macro_f1_is_that_of_all_batches_together() -> None:
    """Class 3 neither occurs nor is predicted; class 2 is predicted wrongly and does not occur, which counts as 0."""
    predicted, actual = torch.tensor([0, 0, 1, 2, 1, 0]), torch.tensor([0, 1, 1, 0, 1, 0])
    sums = LossSums()
    for part in (slice(0, 2), slice(2, 6)):
        counts = count_predictions(predicted[part], actual[part], 4)
        sums.add(Loss(torch.zeros(()), 1, {"macro_f1": counts}))
    first, second = 2 * 2 / (3 + 3), 2 * 2 / (2 + 3)
    assert sums.averages()["macro_f1"] == pytest.approx((first + second + 0) / 3)


def test_audio_is_counted_through_interruptions(tmp_path: Path) -> None:
    """A batch counts its points as samples, and the log their hours."""
    trained(tmp_path / "whole")
    trained(tmp_path / "parts", 4, 7)
    hours = sum(len(points[number].x) for number in range(SHORT.steps)) / 16_000 / 3600
    for folder in ("whole", "parts"):
        assert reports(tmp_path / folder)[-1]["audio_hours"] == pytest.approx(hours, rel=1e-4)


def test_a_state_that_does_not_say_how_much_audio_there_was_is_not_guessed_about(tmp_path: Path) -> None:
    train(Regression(), points, SHORT, tmp_path, stop_at=4)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    del state["num_samples"]
    torch.save(state, tmp_path / "state.pt")
    trained(tmp_path)
    assert [("audio_hours" in report) for report in reports(tmp_path)] == [True, False, False, False]


def test_operations_are_compared_with_the_limit_of_the_device(tmp_path: Path) -> None:
    train(Regression(), points, SHORT, tmp_path, monitoring=Monitoring(flops=lambda batch: 1e3 * len(batch.x)))
    for report in reports(tmp_path):
        assert 0 < report["arithmetic_share"] < 1
        assert 0 <= report["data_wait"] <= 1
        assert report["memory_gb"] > 0


class Weave:
    """Stand-in of wandb and mlflow, which notes what is sent."""

    def __init__(self) -> None:
        self.opened: list[dict] = []
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.ended: list[object] = []

    def init(self, **how: object) -> "Weave":
        self.opened.append(how)
        return self

    def log(self, values: dict[str, float], step: int) -> None:
        self.logged.append((step, values))

    def finish(self, exit_code: int) -> None:
        self.ended.append(exit_code)


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Weave]:
    weave = Weave()
    errors = SimpleNamespace(Error=RuntimeError)
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(__spec__=object(), init=weave.init, errors=errors))
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return weave


def test_a_resumed_training_continues_its_run(tmp_path: Path, wandb: Weave) -> None:
    monitoring = Monitoring(title="mine/mfcc", trackers=("wandb",), settings={"lr": 1e-3})
    for stop in (7, None):
        train(Regression(), points, SHORT, tmp_path, monitoring=monitoring, stop_at=stop)
    first, second = wandb.opened
    assert first["id"] == second["id"]
    assert (first["name"], first["group"], first["project"]) == ("mine/mfcc", "mine", "sonant")
    assert first["config"] == {"lr": 1e-3}
    assert [step for step, _ in wandb.logged] == [3, 6, 9, 12]
    assert {"loss", "lr", "gradient_norm", "audio_seconds_per_second"} <= wandb.logged[0][1].keys()
    assert wandb.ended == [0, 0]


def test_a_failed_training_is_marked_so(tmp_path: Path, wandb: Weave) -> None:
    broken = [points[number] for number in range(5)]
    with pytest.raises(IndexError):
        train(Regression(), broken, SHORT, tmp_path, monitoring=Monitoring(trackers=("wandb",)))
    assert wandb.ended == [1]


def test_a_tracker_that_fails_does_not_end_the_training(tmp_path: Path, wandb: Weave) -> None:
    def fail(values: dict[str, float], step: int) -> None:
        wandb.logged.append((step, values))
        raise ConnectionError("no route to host")

    wandb.log = fail
    objective = Regression()
    torch.manual_seed(1)
    with pytest.warns(SonantWarning, match="Step 3: WeightsAndBiases failed .*no route to host"):
        train(objective, points, SHORT, tmp_path / "tracked", monitoring=Monitoring(trackers=("wandb",)))
    assert len(wandb.logged) == 1
    assert [report["step"] for report in reports(tmp_path / "tracked")] == [3, 6, 9, 12]
    assert same(weights(objective), trained(tmp_path / "plain"))


def test_a_tracker_that_cannot_start_says_how_it_could(tmp_path: Path, wandb: Weave) -> None:
    def refuse(**_: object) -> None:
        raise RuntimeError("no API key")

    sys.modules["wandb"].init = refuse
    with pytest.raises(ConfigurationError, match="no API key.*WANDB_MODE=offline"):
        open_tracker("wandb", tmp_path, 0, title="mine", settings={})


def test_trackers_that_are_not_there_are_refused() -> None:
    with pytest.raises(UnknownName, match="wandb"):
        check_trackers(("neptune",))
    for name in ("wandb", "mlflow"):
        if find_spec(name) is None:
            with pytest.raises(MissingExtra, match=f"the extra '{name}' of sonant"):
                check_trackers((name,))


def test_tensorboard_receives_every_report(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(Regression(), points, SHORT, tmp_path, monitoring=Monitoring(trackers=("tensorboard",)), stop_at=7)
    train(Regression(), points, SHORT, tmp_path, monitoring=Monitoring(trackers=("tensorboard",)))
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in events.Scalars("loss")] == [3, 6, 9, 12]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_the_real_trackers_continue_their_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """And leave the random numbers of the training alone."""
    pytest.importorskip(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monitoring = Monitoring(title="mine/mfcc", trackers=(name,), settings={"stage": {"lr": 1e-3}, "betas": [0.9]})
    for stop in (7, None):
        objective = Regression()
        torch.manual_seed(1)
        train(objective, points, SHORT, tmp_path / "run", monitoring=monitoring, stop_at=stop)
    assert same(weights(objective), trained(tmp_path / "plain"))
    run_id = json.loads((tmp_path / "run" / "trackers.json").read_text())[name]
    if name == "wandb":
        assert len(list((tmp_path / "run" / "wandb").glob(f"offline-run-*-{run_id}"))) == 2
        return
    from mlflow import MlflowClient

    client = MlflowClient()
    run = client.get_run(run_id)
    assert (run.info.run_name, run.info.status) == ("mine/mfcc", "FINISHED")
    assert run.data.params == {"stage.lr": "0.001", "betas": "[0.9]"}
    losses = [metric.value for metric in client.get_metric_history(run_id, "loss")]
    assert losses == pytest.approx([report["loss"] for report in reports(tmp_path / "run")], rel=1e-4)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    with pytest.raises(ConfigurationError, match="MLFLOW_TRACKING_URI"):
        open_tracker("mlflow", tmp_path / "run", 0, title="mine", settings={})

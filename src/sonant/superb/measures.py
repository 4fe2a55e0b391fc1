"""Measures of trials: on the development set to choose by, and on the test set."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from sonant.api.loading import load
from sonant.api.speaker_evaluation import evaluate_asv
from sonant.checkpoints import load_checkpoint
from sonant.data import read_manifest
from sonant.data.settings import write_settings
from sonant.errors import ConfigurationError, SonantWarning, some_of, warn
from sonant.superb.tasks import SUPERB_TASKS, SuperbMetric
from sonant.superb.trials import HeadTrial
from sonant.training.tasks import measure_task, state_norms

TEST = "test.json"


@dataclass(frozen=True)
class Measured:
    """Value of a metric with an interval of 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class StateWeights:
    """Weights of the states of a model in the sum that a head has learned: 0 to L - 1, and the output.

    Attributes:
        raw: as learned, of sum 1.
        scaled: the same times the mean norm of each state, of sum 1: its share in the sum.
    """

    raw: tuple[float, ...]
    scaled: tuple[float, ...]


@dataclass(frozen=True)
class FoldResult:
    """Result of a question in one fold.

    Attributes:
        lr: learning rate that was chosen; None where nothing is trained.
        state: number of the state that was chosen; None if all are read, or the output.
        dev: value of the first metric on the development set.
        measures: on the test set, by metric.
        recordings: of the test set that were measured.
        weights: of the states; None where there is no learned sum.
    """

    fold: int
    lr: float | None
    state: int | None
    dev: float
    measures: Mapping[str, Measured]
    recordings: int
    weights: StateWeights | None


def dev_value(trial: HeadTrial, metric: SuperbMetric) -> float:
    """Return the value of a metric of a finished trial on the development set."""
    found = json.loads((trial.run.folder / "result.json").read_text(encoding="utf-8"))
    return _of(found, metric, trial).value


def best_of(trials: Sequence[HeadTrial]) -> HeadTrial:
    """Return the finished trial with the best first metric on the development set; of equal ones the first."""
    metric = SUPERB_TASKS[trials[0].question.data.task].metrics[0]
    sign = 1 if metric.higher_is_better else -1
    return max(trials, key=lambda trial: sign * dev_value(trial, metric))


def result_on_test(trial: HeadTrial) -> FoldResult:
    """Measure a trial on the test set, unless that was done before, on the same manifest."""
    data, path = trial.question.data, trial.run.folder / TEST
    digest = data.digest("test")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if found.get("manifest") != digest:
        test = str(data.manifests["test"])
        weights = _weights(trial, test)
        found = {
            "manifest": digest,
            "measures": _on_trials(trial) if "test" in data.trials else dict(measure_task(trial.run, test)),
            "weights": None if weights is None else asdict(weights),
        }
        write_settings(path, found)
    metrics = SUPERB_TASKS[data.task].metrics
    weights_found = found["weights"]
    return FoldResult(
        data.fold,
        trial.run.training.lr,
        trial.state,
        dev_value(trial, metrics[0]),
        {
            metric.name: _of(found["measures"], metric, trial)
            for metric in metrics
            if metric == metrics[0] or metric.name in found["measures"]
        },
        int(found["measures"].get("recordings") or len(read_manifest(data.manifests["test"]))),
        None if weights_found is None else StateWeights(*map(tuple, weights_found.values())),
    )


def _on_trials(trial: HeadTrial) -> dict[str, Any]:
    """Measure speaker verification on the listed trials of the test set, as `sonant evaluate asv --whole` does.

    Speakers, by whom intervals are drawn, are the labels of the training, which all rows have.
    """
    data, run = trial.question.data, trial.run
    done = evaluate_asv(
        data.manifests["test"],
        load(run.folder / "model", device=run.device),
        trials=data.trials["test"],
        whole=True,
        speaker=str(run.label),
    )
    if done.failures:
        warn(
            f"{data.name}: {done.skipped} trials are left out, since {len(done.failures)} recordings cannot be used: "
            f"{some_of(list(done.failures), 5)}.",
            SonantWarning,
        )
    return dict(done.measures)


def _of(measures: Mapping[str, Any], metric: SuperbMetric, trial: HeadTrial) -> Measured:
    found = measures.get(metric.name)
    if not isinstance(found, dict):
        raise ConfigurationError(
            f"{trial.run.folder} has no {metric.name}, but {', '.join(measures) or 'nothing'}. Was the task changed?"
        )
    return Measured(float(found["value"]), float(found["low"]), float(found["high"]))


def _weights(trial: HeadTrial, test: str) -> StateWeights | None:
    """Return the learned weights of a frozen model's states."""
    if trial.question.way != "weighted":
        return None
    heads = load_checkpoint(trial.run.folder / "model").heads
    weights = next((each.tensors["layer_weights"] for each in heads.values() if "layer_weights" in each.tensors), None)
    if weights is None:
        return None
    raw = weights.double().softmax(0)
    shares = raw * torch.tensor(state_norms(trial.run, test), dtype=torch.float64)
    return StateWeights(tuple(raw.tolist()), tuple((shares / shares.sum()).tolist()))


def mean_of(folds: Sequence[FoldResult], metric: str) -> Measured:
    """Return the mean over folds; its interval is that of the mean of independent values."""
    values = [fold.measures[metric] for fold in folds]
    mean = sum(each.value for each in values) / len(values)
    below, above = (
        math.sqrt(sum(distance**2 for distance in distances)) / len(values)
        for distances in ([each.value - each.low for each in values], [each.high - each.value for each in values])
    )
    return Measured(mean, mean - below, mean + above)


def mean_weights(folds: Sequence[FoldResult]) -> StateWeights | None:
    """Return the mean weights over folds; None without any."""
    found = [fold.weights for fold in folds if fold.weights is not None]
    if not found:
        return None
    raw, scaled = (
        tuple(sum(column) / len(found) for column in zip(*rows, strict=True))
        for rows in ([each.raw for each in found], [each.scaled for each in found])
    )
    return StateWeights(raw, scaled)

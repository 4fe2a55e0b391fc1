"""Measures of finished trainings on other sets than their own, such as a test set."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from sonant.checkpoints import make_backbone
from sonant.checkpoints.fresh import fresh_or_loaded
from sonant.errors import ConfigurationError, SonantWarning, warn
from sonant.models.identity import fingerprint
from sonant.training.tasks.batches import LabeledBatches, LabeledBatching
from sonant.training.tasks.objective import TaskObjective, predict
from sonant.training.tasks.recordings import LabeledRecordings
from sonant.training.tasks.run import batches_of, cached_states, starting_checkpoint, task_objective
from sonant.training.tasks.sets import LabeledRows, read_labels, read_set
from sonant.training.tasks.settings import TaskRun
from sonant.training.validation import load_best


def measure_task(run: TaskRun, data: str) -> Mapping[str, Any]:
    """Measure the finished model of a run on another set, as `result.json` does on `dev`.

    Recordings of any length are measured. Use one process.

    Args:
        data: manifest of the set.

    Raises:
        ConfigurationError: the run has no `dev`, or is not finished.
        ManifestError: recordings or labels cannot be used.
    """
    opened = _opened(run, data)
    found = predict(opened.objective, opened.batches, opened.recordings.speakers, precision=run.training.precision)
    return opened.rows.task.result(found, opened.rows.classes).measures


@torch.no_grad()
def state_norms(run: TaskRun, data: str) -> list[float]:
    """Return the mean Euclidean norm over the frames of a set of each state that a run reads; raises as `measure_task`.

    Learned weights of states are comparable when they are multiplied by these.
    """
    opened = _opened(run, data)
    total: Tensor | float = 0.0
    frames = 0
    for number in range(len(opened.batches)):
        states = opened.objective.states(opened.batches[number].to(run.device))
        total = total + states.values.double().norm(dim=-1).sum(0)  # (states,)
        frames += len(states.values)
    assert isinstance(total, Tensor)
    return [float(each) for each in total / max(frames, 1)]


@dataclass(frozen=True, eq=False)
class _Opened:
    """The best weights of a run, and the batches of a set."""

    objective: TaskObjective
    rows: LabeledRows
    recordings: LabeledRecordings
    batches: LabeledBatches


def _opened(run: TaskRun, data: str) -> _Opened:
    if not run.dev or not run.is_trained:
        raise ConfigurationError(
            f"{run.folder} has no finished run with a development set. Train one with dev=MANIFEST."
        )
    checkpoint = starting_checkpoint(run, fresh_or_loaded(run.model, seed=run.seed))
    backbone = make_backbone(checkpoint)
    run = replace(run, dev=data)
    rows = read_labels(run, checkpoint, backbone, run.folder, on_error=run.on_error, resumed=True, dev_name="test")
    if rows.report:
        warn(f"The labels have problems:\n{rows.report}", SonantWarning)
    recordings = read_set(run, rows, rows.sets["dev"], backbone, name="test", max_seconds=math.inf)
    seconds = math.ceil(int(recordings.waveforms.lengths.max()) / backbone.sampling_rate)
    batching = LabeledBatching(batch_seconds=max(run.batching.batch_seconds, seconds), max_seconds=seconds)
    run = replace(run, batching=batching)
    objective = task_objective(run, backbone, rows.task, rows.classes)
    load_best(run.folder, objective)
    states = cached_states(run, fingerprint(backbone), [recordings], objective)[0] if run.uses_cache else None
    objective.to(run.device).eval()
    return _Opened(objective, rows, recordings, batches_of(run, recordings, objective, states=states))

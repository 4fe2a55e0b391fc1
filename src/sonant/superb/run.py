"""Execution of an evaluation on SUPERB."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from sonant.data.files import atomic
from sonant.data.progress import Progress
from sonant.data.settings import write_settings
from sonant.errors import ConfigurationError
from sonant.models.filter_bank import FILTER_BANKS
from sonant.superb.checks import check_data
from sonant.superb.data import ALL, TaskData, data_of, known_data, tasks_with
from sonant.superb.measures import FoldResult, best_of, result_on_test
from sonant.superb.models import model_source, num_layers_of
from sonant.superb.page import superb_page
from sonant.superb.report import SuperbRow, markdown, to_json
from sonant.superb.searches import search_result
from sonant.superb.settings import SuperbRun, Way
from sonant.superb.tasks import AVAILABLE, SUPERB_TASKS
from sonant.superb.trials import HeadQuestion, HeadTrial, slug, trials_of
from sonant.training.run_folder import held_folder
from sonant.training.tasks import train_task
from sonant.training.tasks.feature_cache import DType

RESULTS, TABLE, PAGE = "results.json", "results.md", "index.html"
Given = str | PathLike[str]


@dataclass(frozen=True)
class SuperbEvaluation:
    """An evaluation, whose folder has `results.json`, `results.md` and `index.html`."""

    folder: Path
    rows: tuple[SuperbRow, ...]


def evaluate_superb(
    models: Given | Sequence[Given],
    data: Given | Mapping[str, Given],
    *,
    tasks: Sequence[str] = (),
    ways: Sequence[Way] = ("weighted",),
    lr: Sequence[float] = (),
    steps: int = 0,
    output: Given = "superb",
    device: str = "cpu",
    seed: int = 0,
    on_error: Literal["raise", "skip"] = "raise",
    cache_dtype: DType = "float32",
    changes: Mapping[str, Mapping[str, Any]] | None = None,
) -> SuperbEvaluation:
    """Train light heads over models on tasks of SUPERB, measure them, and put them beside published results.

    An evaluation that was interrupted goes on when it is called again; more models, tasks, ways and rates are added.

    Args:
        models: hub id, folder or file, or several; "random:MODEL" has random weights.
        data: folder by name of a task or of a corpus (see `sonant.superb.data`), or one that holds such folders.
        tasks: such as "ks" and "sid"; by default all with data.
        ways, lr, steps, output, device, seed, on_error, cache_dtype: see `SuperbRun`.
        changes: of the recipes, by task: `{"ks": {"label": "word"}}`.

    Raises:
        UnknownName: an unknown task, way or name of data.
        ConfigurationError: invalid settings, or the folder holds trainings of others.
        ManifestError: the data have problems, all of which are listed.
        CheckpointError: a model cannot be read.
    """
    given = [models] if isinstance(models, str | PathLike) else models
    run = SuperbRun(
        models=tuple(str(os.fspath(each)) for each in given),
        data={ALL: os.fspath(data)}
        if isinstance(data, str | PathLike)
        else {name: os.fspath(folder) for name, folder in data.items()},
        tasks=tuple(tasks),
        ways=tuple(ways),
        lr=tuple(lr),
        steps=steps,
        output=os.fspath(output),
        device=device,
        seed=seed,
        on_error=on_error,
        cache_dtype=cache_dtype,
        changes={task: (each,) for task, each in (changes or {}).items()},
    )
    return carry_out_superb(run)


def carry_out_superb(run: SuperbRun, *, show_progress: bool | None = None) -> SuperbEvaluation:
    """Start or resume an evaluation; raises as `evaluate_superb`.

    `output` gets a folder for manifests, for decoded recordings and states, which all tasks share, and one for each
    training. `show_progress` is that of `Progress`.
    """
    with held_folder(run.folder):
        trials = checked_trials(run)
        found = {each: search_result(run, each, model_source(run, each.model)) for each in trials if not trials[each]}
        every = [trial for of_question in trials.values() for trial in of_question]
        there = [trial for trial in every if trial.run.is_trained]
        for trial in there:
            train_task(trial.run)  # which refuses other settings, recordings or weights, and trains nothing
        with Progress(len(every), title="SUPERB", unit="trainings", done=len(there), show=show_progress) as progress:
            for trial in every:
                if not trial.run.is_trained:
                    progress.note = trial.name
                    train_task(trial.run)
                    progress.update()
        found |= {each: result_on_test(best_of(of_it)) for each, of_it in trials.items() if of_it}
        rows = tuple(_rows({each: found[each] for each in trials}))
        write_settings(run.folder / RESULTS, to_json(rows))
        for name, text in ((TABLE, markdown(rows)), (PAGE, superb_page(rows))):
            with atomic(run.folder / name) as draft:
                draft.write_text(text, encoding="utf-8")
    return SuperbEvaluation(run.folder, rows)


def checked_trials(run: SuperbRun) -> dict[HeadQuestion, list[HeadTrial]]:
    """Return the trainings for each cell of the table, whose data are checked; the manifests of corpora are written."""
    for name, models in groupby(sorted(run.models, key=slug), key=slug):
        if len(same := list(models)) > 1:
            raise ConfigurationError(
                f"The trainings of {' and '.join(same)} would have one name, {name}. Evaluate each in a folder of its "
                "own."
            )
    trials = {question: list(_trials(run, question)) for question in _questions(run)}
    check_data(run, {question.data.name: (question.data, of_it[:1]) for question, of_it in trials.items()}.values())
    return trials


def _questions(run: SuperbRun) -> list[HeadQuestion]:
    found = known_data(run.data)
    tasks = run.tasks or tasks_with(found)
    if not tasks:
        raise ConfigurationError(f"There is data for none of the tasks {', '.join(AVAILABLE)}.")
    data: list[TaskData] = [each for task in tasks for each in data_of(task, found, run.folder / "manifests")]
    return [
        HeadQuestion(each, model, way) for each in data for model in run.models for way in _ways(run, each.task, model)
    ]


def _ways(run: SuperbRun, task: str, model: str) -> tuple[Way, ...]:
    """Return the ways to learn a task over a model; features without weights cannot be fine-tuned."""
    if not SUPERB_TASKS[task].is_trained:
        return ("best_layer",)
    return tuple(way for way in run.ways if way != "fine_tuned" or model not in FILTER_BANKS)


def _trials(run: SuperbRun, question: HeadQuestion) -> Iterator[HeadTrial]:
    source = model_source(run, question.model)
    if not SUPERB_TASKS[question.data.task].is_trained:
        return iter(())
    layers = num_layers_of(source) if question.way == "best_layer" else 0
    return trials_of(run, question, source, layers)


def _rows(found: Mapping[HeadQuestion, FoldResult]) -> Iterator[SuperbRow]:
    """Join the results of folds."""
    by_cell: dict[tuple[str, str, Way], list[FoldResult]] = {}
    for question, result in found.items():
        by_cell.setdefault((question.data.task, question.model, question.way), []).append(result)
    for cell, folds in by_cell.items():
        yield SuperbRow(*cell, tuple(folds))

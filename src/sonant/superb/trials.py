"""Trainings of an evaluation: for each task, fold, model and way one for each learning rate and layer to try."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from sonant.data.files import shortened
from sonant.recipes.tasks import task_run
from sonant.superb.data import TaskData
from sonant.superb.settings import SuperbRun, Way
from sonant.superb.tasks import recipe_of
from sonant.training import PartSettings
from sonant.training.tasks import TaskRun

TRAININGS, STATES, TIMES = "trainings", "states", 10  # evaluations of a training whose steps are given
FINE_TUNED_FACTOR = 0.1  # learning rate of the model to that of the head


@dataclass(frozen=True)
class HeadQuestion:
    """A cell of the table in one fold: one task, model and way."""

    data: TaskData
    model: str
    way: Way

    @property
    def title(self) -> str:
        """Task, model and way, for messages."""
        return f"{self.data.name}, {self.model}, {self.way}"


@dataclass(frozen=True)
class HeadTrial:
    """One training for a question.

    Attributes:
        source: what the model is loaded from.
        lr: learning rate; None: that of the recipe.
        state: number of the only state that is read; None: as the way says.
    """

    of: SuperbRun
    question: HeadQuestion
    source: str
    lr: float | None
    state: int | None

    @cached_property
    def run(self) -> TaskRun:
        """The training."""
        run, data, way = self.of, self.question.data, self.question.way
        made = task_run(recipe_of(data.task), [{"trackers": []}, *run.changes.get(data.task, ())])
        training = made.training
        if run.steps:
            every = max(1, run.steps // TIMES)
            training = replace(training, steps=run.steps, validate_every=every, save_every=every, log_every=every)
        if self.lr is not None:
            training = replace(training, lr=self.lr)
        if way == "fine_tuned":
            training = replace(training, parts=(PartSettings(name="backbone", lr_factor=FINE_TUNED_FACTOR),))
        task = replace(made.task, **{name: str(path) for name, path in data.files.items()})
        label = "text" if "lexicon" in data.files else made.label  # words, whose phones it has
        return replace(
            made,
            name=self.name,
            task=task,
            label=label,
            model=self.source,
            data=str(data.manifests["train"]),
            dev=str(data.manifests["dev"]),
            on_error=run.on_error,
            layer="last" if way == "last" else "weighted",
            single_state=self.state,
            frozen="extractor" if way == "fine_tuned" else "backbone",
            training=training,
            cache="" if way == "fine_tuned" else str(run.folder / STATES),
            cache_dtype=run.cache_dtype,
            output=str(run.folder / TRAININGS),
            device=run.device,
            seed=run.seed,
        )

    @property
    def name(self) -> str:
        """Name of the folder of the training."""
        question = self.question
        parts = [question.data.name, question.way, slug(question.model)]
        parts += [] if self.lr is None else [f"lr{self.lr:g}"]
        parts += [] if self.state is None else [f"state{self.state}"]
        return shortened("-".join(parts), 120)


def trials_of(run: SuperbRun, question: HeadQuestion, source: str, num_layers: int) -> Iterator[HeadTrial]:
    """Yield the trainings for a question, in order."""
    states = range(num_layers + 1) if question.way == "best_layer" else (None,)
    for lr in run.lr or (None,):
        for state in states:
            yield HeadTrial(run, question, source, lr, state)


def slug(model: str) -> str:
    """Return a name for files of a model."""
    path = Path(model).expanduser()
    name = str(path.resolve()) if path.exists() else model
    return "".join(sign if sign.isalnum() or sign in "-._" else "_" for sign in name).strip("_.")

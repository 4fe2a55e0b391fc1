"""Trainings of an evaluation, and their recipes."""

from dataclasses import replace
from pathlib import Path

import pytest

from sonant.errors import ConfigurationError, UnknownName
from sonant.recipes import task_recipe
from sonant.recipes.sources import sourced
from sonant.superb.data import TaskData
from sonant.superb.settings import SuperbRun
from sonant.superb.tasks import AVAILABLE, SUPERB_TASKS, recipe_of
from sonant.superb.trials import HeadQuestion, trials_of

DATA = TaskData("ks", 0, {part: Path(f"{part}.jsonl") for part in ("train", "dev", "test")})
RUN = SuperbRun(models=("m",), data={}, output="out")


def test_a_training_is_the_recipe_on_the_data() -> None:
    (trial,) = trials_of(RUN, HeadQuestion(DATA, "m", "weighted"), "m", 0)
    published = task_recipe("superb_ks")
    assert (trial.run.training, trial.run.task, trial.run.layer) == (published.training, published.task, "weighted")
    assert (trial.run.data, trial.run.dev, trial.run.cache) == ("train.jsonl", "dev.jsonl", "out/states")


def test_rates_layers_steps_and_changes() -> None:
    run = replace(RUN, lr=(1e-3, 1e-2), steps=50, changes={"ks": ("label=word", {"seed": 3})})
    trials = list(trials_of(run, HeadQuestion(DATA, "m", "best_layer"), "m", 2))
    assert [(each.lr, each.state) for each in trials] == [(lr, state) for lr in (1e-3, 1e-2) for state in (0, 1, 2)]
    assert len({each.name for each in trials}) == 6
    training = trials[-1].run.training
    assert (training.lr, training.steps, training.validate_every) == (1e-2, 50, 5)
    assert (trials[-1].run.label, trials[-1].run.single_state) == ("word", 2)
    (tuned,) = trials_of(RUN, HeadQuestion(DATA, "m", "fine_tuned"), "m", 0)
    assert (tuned.run.frozen, tuned.run.cache, tuned.run.training.parts[0].name) == ("extractor", "", "backbone")
    (last,) = trials_of(RUN, HeadQuestion(DATA, "m", "last"), "m", 0)
    assert last.run.layer == "last"
    wrong = replace(RUN, changes={"ks": ("lable=word",)})
    with pytest.raises(Exception, match="lable"):
        next(trials_of(wrong, HeadQuestion(DATA, "m", "last"), "m", 0)).run.label  # noqa: B018


def test_words_with_a_lexicon_are_the_label_of_phones() -> None:
    data = TaskData("pr", 0, DATA.manifests, files={"lexicon": Path("lexicon.txt")})
    (trial,) = trials_of(RUN, HeadQuestion(data, "m", "weighted"), "m", 0)
    assert (trial.run.label, trial.run.task.lexicon) == ("text", "lexicon.txt")  # type: ignore[attr-defined]


@pytest.mark.parametrize("task", [task for task in AVAILABLE if SUPERB_TASKS[task].is_trained])
def test_every_setting_of_a_recipe_has_a_source(task: str) -> None:
    name = recipe_of(task)
    rows = sourced(name, task_recipe(name))
    assert not [row.name for row in rows if row.source.kind == "given"]
    assert any("s3prl" in row.source.where for row in rows)


def test_tasks_that_are_not_there_are_refused_by_name() -> None:
    with pytest.raises(UnknownName, match="task of SUPERB"):
        replace(RUN, tasks=("vc",))


@pytest.mark.parametrize("name", ["tasks", "models", "ways"])
def test_what_is_named_twice_is_refused(name: str) -> None:
    once = {"tasks": ("ks",), "models": ("model",), "ways": ("weighted",)}
    with pytest.raises(ConfigurationError, match=f"{name}=.*each of them once"):
        SuperbRun(**{**once, name: once[name] * 2}, data={})  # type: ignore[arg-type]

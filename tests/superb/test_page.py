"""The page on SUPERB lists the tasks and corpora that there are."""

from pathlib import Path

from sonant.data.corpora import CORPORA
from sonant.recipes import task_recipe
from sonant.superb.tasks import AVAILABLE, SUPERB_TASKS, recipe_of

PAGE = (Path(__file__).parents[2] / "docs" / "superb.md").read_text(encoding="utf-8")


def test_every_task_has_a_line_with_its_published_settings() -> None:
    lines = [line for line in PAGE.splitlines() if line.startswith("| `") and line.count("|") == 10]
    expected = []
    for task in AVAILABLE:
        about, run = SUPERB_TASKS[task], task_recipe(recipe_of(task))
        seconds = run.batching.batch_seconds * run.training.grad_accumulation
        measures = ", ".join(metric.title for metric in about.metrics)
        labels = (run.label,) if isinstance(run.label, str) else run.label
        fields = ", ".join(f"`{name}`" for name in labels)
        title = CORPORA[about.corpus][task].title
        cells = [
            f"`{task}`",
            about.title,
            fields,
            about.head,
            f"{run.training.steps:,}",
            f"{run.training.lr:g}",
        ]
        expected.append(f"| {' | '.join([*cells, f'{seconds:g} s', measures, title])} |")
    assert lines == expected


def test_every_corpus_has_a_line_for_each_layout() -> None:
    for name, uses in CORPORA.items():
        tasks = ", ".join(f"`{use}`" for use in uses)
        assert f"| `{name}` | {tasks} | {next(iter(uses.values())).layout} |" in PAGE.splitlines()


def test_tasks_that_are_not_there_are_said_not_to_be() -> None:
    (line,) = [line for line in PAGE.splitlines() if line.startswith("Not here yet:")] or [""]
    assert {task for task in SUPERB_TASKS if f"`{task}`" in line} == set(SUPERB_TASKS) - set(AVAILABLE)

"""Writes the tables of superb.md, of tasks and corpora, at every build: none can be out of date."""

from pathlib import Path

from sonant.data.corpora import CORPORA
from sonant.recipes import task_recipe
from sonant.superb.tasks import AVAILABLE, SUPERB_TASKS, recipe_of


def write_superb_tables(folder: Path) -> None:
    """Write the two tables for superb.md to include."""
    (folder / "superb_tasks.inc").write_text(tasks(), encoding="utf-8")
    (folder / "superb_corpora.inc").write_text(corpora(), encoding="utf-8")


def tasks() -> str:
    """Return a table of the tasks with their published settings, and name those that are not there."""
    lines = [
        "| task | learns | fields | head and loss | steps | lr | batch | measured by | corpus |",
        "|---|---|---|---|--:|--:|--:|---|---|",
    ]
    for task in AVAILABLE:
        about = SUPERB_TASKS[task]
        fields, settings = about.fields, ["", "", ""]
        if about.is_trained:
            run = task_recipe(recipe_of(task))
            fields = fields or ((run.label,) if isinstance(run.label, str) else run.label)
            seconds = run.batching.batch_seconds * run.training.grad_accumulation
            settings = [f"{run.training.steps:,}", f"{run.training.lr:g}", f"{seconds:g} s"]
        cells = [
            f"`{task}`",
            about.title,
            ", ".join(f"`{name}`" for name in fields),
            about.head,
            *settings,
            ", ".join(metric.title for metric in about.metrics),
            CORPORA[about.corpus][task].title,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    missing = [f"{about.title} (`{task}`)" for task, about in SUPERB_TASKS.items() if task not in AVAILABLE]
    return "\n".join([*lines, "", f"Not here yet: {', '.join(missing) or 'nothing'}."]) + "\n"


def corpora() -> str:
    """Return a table of the corpora with their layouts."""
    lines = ["| name | tasks | expected |", "|---|---|---|"]
    for name, uses in CORPORA.items():
        of_tasks = ", ".join(f"`{use}`" for use in uses)
        lines.append(f"| `{name}` | {of_tasks} | {next(iter(uses.values())).layout.replace('*', chr(92) + '*')} |")
    return "\n".join(lines) + "\n"

"""Small models of several families side by side: the results of probes, and the curves of their training.

    python benchmarks/compare_families.py --out docs/families runs/wav2vec_tiny=probes/wav2vec_tiny ...

Each argument is the folder of a pretraining run and, after `=`, the folder that `probe_model.py` wrote for its model;
or several folders, joined by commas, where its tasks were measured one after another.
Writes table.inc (Markdown), probes.png (accuracy and error by depth) and curves.png (each stage's own measures).
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POOL = "mean+std"
TASKS = {
    "keywords": "keyword accuracy",
    "digits": "digit accuracy",
    "sid": "speaker identification accuracy",
    "asv": "speaker verification EER",
}
# What an objective is judged by, first found first: its metric, and what it is a share of.
LEARNED = {
    "masked_accuracy": "hidden frames named rightly",
    "contrastive_accuracy": "true frames picked among distractors",
    "accuracy": "true frames picked among other frames",
}

Row = dict[str, Any]


@dataclass(frozen=True)
class Trained:
    """A pretraining run and the results of its probes."""

    name: str
    run: dict[str, Any]
    stages: dict[str, list[Row]]  # metrics by stage
    results: list[Row]

    @classmethod
    def read(cls, argument: str) -> "Trained":
        folder, equals, probes = argument.partition("=")
        if not equals:
            raise SystemExit(f"{argument!r} is not RUN=PROBES.")
        run = json.loads((Path(folder) / "run.json").read_text())
        stages = {}
        for stage in run["stages"]:
            file = Path(folder) / stage["name"] / "metrics.jsonl"
            if file.exists():
                stages[stage["name"]] = [json.loads(line) for line in file.read_text().splitlines()]
        documents = [json.loads((Path(part) / "probes.json").read_text()) for part in probes.split(",")]
        return cls(run["name"], run, stages, [row for document in documents for row in document["results"]])

    def points(self, task: str, system: str, run: int = 0) -> list[Row]:
        """Return one measure for every layer of a system."""
        rows = [
            row
            for row in self.results
            if (row["task"], row["pool"], row["system"], row["run"]) == (task, POOL, system, run)
        ]
        return sorted(rows, key=lambda row: row["layer"])


def preference(row: Row) -> tuple[float, ...]:
    """Return the values by which a layer is chosen, higher is better; never from the clips that are reported."""
    if row["task"] == "asv":
        return (-min(row["tuning_eer_by_scoring"].values()),)
    return (row["dev_accuracy"], -row["dev_loss"])


def value(row: Row) -> float:
    return float(row["eer"] if row["task"] == "asv" else row["accuracy"])


def cell(rows: Sequence[Row]) -> str:
    """Return the value at the chosen layer, its interval and the layer, as text."""
    if not rows:
        return ""
    chosen = max(rows, key=preference)
    low, high = chosen["interval"] if chosen["task"] == "asv" else (chosen["low"], chosen["high"])
    layer = f" at {chosen['layer']}" if len(rows) > 1 else ""
    return f"{100 * value(chosen):.1f} [{100 * low:.1f}, {100 * high:.1f}]{layer}"


def table(models: Sequence[Trained]) -> str:
    """Return a table with a row for each model, its random weights below it, if measured, and MFCC at the end."""
    tasks = [task for task in TASKS if any(row["task"] == task for row in models[0].results)]
    lines = [
        "| features | " + " | ".join(TASKS[task] for task in tasks) + " |",
        "| --- |" + " ---: |" * len(tasks),
    ]
    for model in models:
        for system, title in (("model", f"**{model.name}**"), ("random weights", "its random weights")):
            lines.append(f"| {title} | " + " | ".join(cell(model.points(task, system)) for task in tasks) + " |")
    lines.append("| MFCC | " + " | ".join(cell(models[0].points(task, "MFCC")) for task in tasks) + " |")
    return "\n".join(lines)


def learned(stage: Iterable[Row]) -> tuple[str, list[float], list[float]] | None:
    """Return the measure by which a stage's objective is judged: its name, steps and values."""
    rows = list(stage)
    for metric in LEARNED:
        if rows and metric in rows[0]:
            return metric, [row["step"] for row in rows], [row[metric] for row in rows]
    return None


def plot_probes(models: Sequence[Trained], picture: Path) -> None:
    from matplotlib.figure import Figure

    tasks = [task for task in TASKS if any(row["task"] == task for row in models[0].results)]
    figure = Figure(figsize=(4.2 * len(tasks), 3.8), layout="constrained")
    for axes, task in zip(figure.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True):
        for number, model in enumerate(models):
            for system, style in (("model", "-"), ("random weights", ":")):
                rows = model.points(task, system)
                depth = [row["layer"] / max(1, len(rows) - 1) for row in rows]
                label = model.name if system == "model" else None
                axes.plot(depth, [100 * value(row) for row in rows], style, color=f"C{number}", label=label, marker=".")
        flat = models[0].points(task, "MFCC")
        if flat:
            axes.axhline(100 * value(flat[0]), color="gray", linestyle="--", linewidth=1, label="MFCC")
        axes.set(title=TASKS[task], xlabel="depth, as a share of the layers", ylabel="%")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=8)
    figure.suptitle("Whole lines: trained. Dotted: the same networks with random weights.", fontsize=9)
    figure.savefig(picture, dpi=110)


def plot_curves(models: Sequence[Trained], picture: Path) -> None:
    from matplotlib.figure import Figure

    panels = [(model.name, name, stage) for model in models for name, stage in model.stages.items() if learned(stage)]
    columns = 3
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(4 * columns, 2.6 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (model, name, stage) in zip(grid, panels, strict=False):
        metric, steps, values = learned(stage) or ("", [], [])
        axes.plot(steps, values, color="C0", linewidth=1.3)
        axes.set(title=f"{model}: {name}", xlabel="step")
        axes.set_ylabel(LEARNED[metric], fontsize=7)
        axes.title.set_fontsize(9)
        other = axes.twinx()
        other.plot(steps, [row["loss"] for row in stage], color="C1", linewidth=0.8, alpha=0.7)
        other.set_ylabel("loss", color="C1", fontsize=7)
        axes.grid(alpha=0.3)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    figure.savefig(picture, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="RUN=PROBES")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    models = [Trained.read(argument) for argument in options.models]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "table.inc").write_text(table(models) + "\n", encoding="utf-8")
    plot_probes(models, options.out / "probes.png")
    plot_curves(models, options.out / "curves.png")
    print(table(models))


if __name__ == "__main__":
    main()

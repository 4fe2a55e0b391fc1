"""Plots of the metrics of runs."""

import json
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sonant.errors import ManifestError, MissingExtra, SonantWarning, warn

# Titles of the plots, with the endings of names of the metrics in each, and their unit.
PANELS = {
    "loss": (("loss",), "nats"),
    "perplexity": (("per_token",), "number of tokens"),
    "accuracy": (("accuracy",), "share"),
    "entropy": (("entropy",), "nats"),
    "in use": (("in_use", "perplexity"), "number of clusters or codes"),
    "probes": ((), "share"),
}
STYLES = ("-", "--", ":", "-.")
PROBE = "probe_"
LEAST_SECONDS = 60.0  # from one picture of a running stage to the next
LEAST_TIMES = 100  # the time that drawing took

Lines = list[dict[str, Any]]


def plot_runs(folders: Sequence[Path], picture: Path) -> None:
    """Plot the stages of one or several runs, those of one name in one row.

    Args:
        folders: of runs, or of stages.
        picture: file to write; its extension is the format.

    Raises:
        ManifestError: a folder has no metrics.
        MissingExtra: matplotlib is not installed.
    """
    stages: dict[str, dict[str, Path]] = {}
    for folder in folders:
        for stage in stages_of(folder):
            runs = stages.setdefault(stage.resolve().name, {})
            run = stage.resolve().parent
            runs[run.name if run.name not in runs else str(run)] = stage
    plot_curves(stages, picture)


def stages_of(folder: Path) -> list[Path]:
    """Return the folders of a run's stages that have metrics, in order; of a stage, its own."""
    if (folder / "metrics.jsonl").exists():
        return [folder]
    names = sorted(path.parent.name for path in folder.glob("*/metrics.jsonl"))
    settings = folder / "run.json"
    order = [stage["name"] for stage in json.loads(settings.read_text())["stages"]] if settings.exists() else []
    if not names:
        raise ManifestError(
            f"There are no metrics in {folder}: expected the folder of a run, or of a stage of one, which writes "
            "metrics.jsonl every `log_every` steps."
        )
    return [
        folder / name for name in sorted(names, key=lambda name: order.index(name) if name in order else len(order))
    ]


def plot_curves(stages: Mapping[str, Mapping[str, Path]], picture: Path) -> None:
    """Plot losses, accuracies, entropies, clusters in use and probes, a row for each stage.

    Args:
        stages: folders with `metrics.jsonl`, by name of the stage and of the run. One run has a color for each metric;
            of several, each has one.
        picture: file to write; its extension is the format.

    Raises:
        ManifestError: there are no metrics.
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", extra="plot", purpose="Drawing curves") from error

    reports = {
        stage: {run: _read(folder / "metrics.jsonl") for run, folder in runs.items()} for stage, runs in stages.items()
    }
    everything = [lines for runs in reports.values() for lines in runs.values()]
    titles = [title for title in PANELS if any(_metrics(lines, title) for lines in everything)]
    names = list(dict.fromkeys(run for runs in reports.values() for run in runs))
    figure = Figure(figsize=(3.6 * len(titles), 2.8 * len(reports)), layout="constrained")
    grid = figure.subplots(len(reports), len(titles), squeeze=False)
    for (stage, runs), row in zip(reports.items(), grid, strict=True):
        for title, axes in zip(titles, row, strict=True):
            metrics = list(dict.fromkeys(key for lines in runs.values() for key in _metrics(lines, title)))
            for run, lines in runs.items():
                for number, key in enumerate(metrics):
                    points = [(line["step"], line[key]) for line in lines if key in line]
                    several = len(names) > 1
                    label = key.replace("_", " ")
                    axes.plot(
                        *zip(*points, strict=True) if points else ([], []),
                        label=f"{run}: {label}" if several else label,
                        color=f"C{names.index(run) if several else number}",
                        linestyle=STYLES[number % len(STYLES)] if several else "-",
                        marker="o" if title == "probes" else None,
                        markersize=2.5,
                        linewidth=1.2,
                    )
            axes.set_title(f"{stage}: {title}", fontsize=10)
            axes.set(xlabel="step", ylabel=PANELS[title][1])
            axes.grid(alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
            if axes.lines:
                axes.legend(frameon=False, fontsize=6)
    figure.savefig(picture, dpi=110)


class CurvesPicture:
    """Picture of the stages of a run, drawn again while metrics are written, in about 1 % of the time at most.

    Without matplotlib there is none. An error of drawing is a warning, after which no more is drawn.
    """

    def __init__(self, stages: Mapping[str, Mapping[str, Path]], path: Path) -> None:
        """Take stages as `plot_curves` does, and the file to write."""
        self._stages, self._path = stages, path
        self._is_wanted = find_spec("matplotlib") is not None
        self._due = time.monotonic() + LEAST_SECONDS

    def update(self) -> None:
        """Draw, if the last picture is old enough."""
        if time.monotonic() >= self._due:
            self.draw()

    def draw(self) -> None:
        """Draw now."""
        if not self._is_wanted:
            return
        began = time.monotonic()
        try:
            plot_curves(self._stages, self._path)
        except Exception as error:  # noqa: BLE001 - no training should end for want of a picture
            self._is_wanted = False
            warn(f"{self._path} was not drawn: {error!r}. `sonant pretrain curves RUN` draws it later.", SonantWarning)
        ended = time.monotonic()
        self._due = ended + max(LEAST_SECONDS, LEAST_TIMES * (ended - began))


def _metrics(lines: Lines, title: str) -> list[str]:
    """Return the names of the metrics of a plot."""
    keys = dict.fromkeys(key for line in lines for key in line)
    if title == "probes":
        return [key for key in keys if key.startswith(PROBE)]
    endings, _ = PANELS[title]
    return [key for key in keys if key.endswith(endings) and not key.startswith(PROBE)]


def _read(path: Path) -> Lines:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    if not lines:
        raise ManifestError(f"There are no metrics in {path}; a run writes them every `log_every` steps.")
    return [json.loads(line) for line in lines]

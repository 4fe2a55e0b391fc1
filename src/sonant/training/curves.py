"""Plots of the metrics of a run."""

import json
from collections.abc import Mapping
from pathlib import Path

from sonant.errors import ManifestError, MissingExtra

# Titles of the plots, with the endings of names of the metrics in each, and their unit.
PANELS = {
    "loss": (("loss",), "nats"),
    "accuracy": (("accuracy",), "share"),
    "codes in use": (("entropy", "perplexity"), "entropy in nats, or perplexity"),
}


def plot_curves(runs: Mapping[str, Path], picture: Path) -> None:
    """Plot losses, accuracies and entropies of the stages of a run in one picture.

    Args:
        runs: name and folder, with `metrics.jsonl`, of each stage.
        picture: file to write; its extension is the format.

    Raises:
        ManifestError: there are no metrics.
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", extra="plot", purpose="Drawing curves") from error

    reports = {name: _read(folder / "metrics.jsonl") for name, folder in runs.items()}
    figure = Figure(figsize=(4 * len(PANELS), 2.6 * len(runs)), layout="constrained")
    rows = figure.subplots(len(runs), len(PANELS), squeeze=False)
    for (name, lines), row in zip(reports.items(), rows, strict=True):
        keys = dict.fromkeys(key for line in lines for key in line)
        for (title, (endings, unit)), axes in zip(PANELS.items(), row, strict=True):
            for key in (key for key in keys if key.endswith(endings)):
                steps, values = zip(*((line["step"], line[key]) for line in lines if key in line), strict=True)
                axes.plot(steps, values, label=key.replace("_", " "), linewidth=1.2)
            axes.set(title=f"{name}: {title}", xlabel="step", ylabel=unit)
            axes.grid(alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
            if axes.lines:
                axes.legend(frameon=False, fontsize=7)
    figure.savefig(picture, dpi=110)


def _read(path: Path) -> list[dict[str, float]]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    if not lines:
        raise ManifestError(f"There are no metrics in {path}; a run writes them every `log_every` steps.")
    return [json.loads(line) for line in lines]

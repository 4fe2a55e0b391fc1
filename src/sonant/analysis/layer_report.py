"""Markdown tables and plots of measures by layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sonant.errors import MissingExtra


@dataclass(frozen=True)
class Estimate:
    """A value between 0 and 1, optionally with an interval."""

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{100 * self.value:.1f}"
        return f"{100 * self.value:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}]"


@dataclass(frozen=True)
class Curve:
    """The values of one system by layer, from layer 0; a single one for features without layers, such as MFCC."""

    name: str
    values: tuple[Estimate, ...]
    chosen: int | None = None  # the layer selected on development clips

    @property
    def has_layers(self) -> bool:
        return len(self.values) > 1


@dataclass(frozen=True)
class Measure:
    """A measure, with the curves of several systems."""

    title: str
    curves: tuple[Curve, ...]


def layer_table(measures: Sequence[Measure]) -> str:
    """Format a Markdown table: a row for each layer, a column for each measure and system.

    Values are percent, with [interval]; the selected layer is bold. Features without layers are the last rows.
    """
    columns = [(measure, curve) for measure in measures for curve in measure.curves if curve.has_layers]
    header = ["layer", *(f"{measure.title}, {curve.name}" for measure, curve in columns)]
    rows = [
        [str(layer), *(_cell(curve, layer) for _, curve in columns)]
        for layer in range(max((len(curve.values) for _, curve in columns), default=0))
    ]
    flat = {curve.name: None for measure in measures for curve in measure.curves if not curve.has_layers}
    for name in flat:
        cells = []
        seen: set[str] = set()
        for measure, _ in columns:
            found = [str(c.values[0]) for c in measure.curves if c.name == name and measure.title not in seen]
            cells.append(found[0] if found else "")
            seen.add(measure.title)
        rows.append([name, *cells])
    lines = [header, ["---"] + ["---:"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def plot_layers(measures: Sequence[Measure], path: Path | str, *, title: str = "") -> None:
    """Plot a panel for each measure with a line for each system, intervals shaded; `path` determines the format.

    Raises MissingExtra without matplotlib.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", extra="plot", purpose="Plotting measures by layer") from error
    figure = Figure(figsize=(4.2 * max(len(measures), 1), 3.6), layout="constrained")
    FigureCanvasAgg(figure)  # without display and global state
    panels = figure.subplots(1, max(len(measures), 1), squeeze=False)[0]
    for panel, measure in zip(panels, measures, strict=True):
        for number, curve in enumerate(measure.curves):
            color = f"C{number}"
            values = [100 * estimate.value for estimate in curve.values]
            if not curve.has_layers:
                panel.axhline(values[0], color=color, linestyle="--", label=curve.name)
                continue
            layers = range(len(values))
            panel.plot(layers, values, color=color, marker="o", markersize=3, label=curve.name)
            lows = [100 * (e.value if e.low is None else e.low) for e in curve.values]
            highs = [100 * (e.value if e.high is None else e.high) for e in curve.values]
            panel.fill_between(layers, lows, highs, color=color, alpha=0.15, linewidth=0)
        panel.set_title(measure.title, fontsize=10)
        panel.set_xlabel("layer")
        panel.set_ylabel("%")
        panel.legend(fontsize=7)
        panel.grid(alpha=0.3)
    if title:
        figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=120)


def _cell(curve: Curve, layer: int) -> str:
    if layer >= len(curve.values):
        return ""
    text = str(curve.values[layer])
    return f"**{text}**" if layer == curve.chosen else text

"""Curves by layer as SVG, with what is said of each layer under the pointer."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from sonant.analysis.layer_report import Estimate
from sonant.analysis.results import LayerCurve
from sonant.pages.html import Markup, joined, tag

WIDTH, HEIGHT = 360, 224
LEFT, RIGHT, TOP, BOTTOM = 42, 12, 10, 36  # margins of the plot
MOST_MARKS = 13  # of the axis of layers


class Line(NamedTuple):
    """The curve of one model, which is the first or the second of the page.

    Attributes:
        name: of the model; empty if it need not be said.
        layer_names: of the model.
    """

    number: int
    name: str
    layer_names: Sequence[str]
    curve: LayerCurve

    def said(self, layer: int) -> str:
        """Say what the model reaches at a layer."""
        name = f"{self.name}, layer" if self.name else "Layer"
        chosen = " (best)" if layer == self.curve.best else ""
        return f"{name} {self.layer_names[layer]}{chosen}: {said(self.curve.values[layer], self.curve.unit)}"


class Figure(NamedTuple):
    """A figure whose parts are stepped through: its markup, and what the script needs of it."""

    markup: Markup
    steps: dict[str, Any]


def said(estimate: Estimate, unit: str) -> str:
    """Return a value with its interval as text."""
    if unit == "%":
        return f"{estimate} %".replace("-", "−")
    text = f"{estimate.value:.3g}"
    if estimate.low is not None and estimate.high is not None:
        text += f" [{estimate.low:.3g}, {estimate.high:.3g}]"
    return text.replace("-", "−")


def curve_figure(lines: Sequence[Line], number: int) -> Figure:
    """Return a chart with its title and what is said of it.

    Args:
        number: of the figure on the page.
    """
    first, depth = lines[0].curve, max(len(line.curve.values) for line in lines)
    chart = curve_chart(lines, tabindex="0", data_steps=str(number))
    better = "higher" if first.higher_is_better else "lower"
    unit = "%, " if first.unit else ""
    caption = tag(
        "figcaption", tag("strong", first.name), f" {first.measure}", tag("span", f" {unit}{better} is better")
    )
    best = joined(*(tag("span", line.said(line.curve.best), class_=f"m{line.number}") for line in lines))
    how = (
        tag("details", tag("summary", "How it was measured"), tag("p", first.how, class_="dim")) if first.how else None
    )
    markup = tag("figure", caption, chart, tag("output", best, class_="readout", aria_live="polite"), how)
    texts = [[[line.number, line.said(_nearest(line, step, depth))] for line in lines] for step in range(depth)]
    steps = {
        "x": [round(_x(step, depth), 1) for step in range(depth)],
        "y": [round(TOP + (HEIGHT - TOP - BOTTOM) / 2, 1)],
        "size": [1.5, HEIGHT - TOP - BOTTOM],
        "texts": [texts],
    }
    return Figure(markup, steps)


def curve_chart(lines: Sequence[Line], **attributes: str) -> Markup:
    """Draw one measure of one or two models.

    Layers stand at their share of the depth, so that models of different depth can be compared.

    Args:
        **attributes: of the element.
    """
    first = lines[0].curve
    axis = _Axis.of([line.curve for line in lines])
    ends = {"x1": str(LEFT), "x2": str(WIDTH - RIGHT)}
    across = [tag("line", class_="grid", y1=axis.y(each), y2=axis.y(each), **ends) for each in axis.ticks]
    across += [tag("text", axis.mark(each), class_="end", x=str(LEFT - 6), y=axis.y(each, 4)) for each in axis.ticks]
    across += _level("chance", first.chance, axis) + _level("log-mel", _value(first.baseline), axis)
    return tag(
        "svg",
        joined(*across, *_layer_axis(lines), *(_drawn(line, axis) for line in lines)),
        tag("rect", class_="cursor", visibility="hidden"),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=f"{first.title} by layer. " + "; ".join(line.said(line.curve.best) for line in lines),
        **attributes,
    )


def _nearest(line: Line, step: int, depth: int) -> int:
    """Return the layer of a curve at the depth of a step."""
    last = len(line.curve.values) - 1
    return round(step * last / max(depth - 1, 1))


def _x(layer: int, layers: int) -> float:
    return LEFT + 8 + (WIDTH - LEFT - RIGHT - 16) * (layer / (layers - 1) if layers > 1 else 0.5)


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else estimate.value


class _Axis(NamedTuple):
    """The axis of values."""

    low: float
    high: float
    step: float
    percent: bool

    @classmethod
    def of(cls, curves: Sequence[LayerCurve]) -> "_Axis":
        estimates = [each for curve in curves for each in curve.values]
        estimates += [curve.baseline for curve in curves if curve.baseline]
        seen = [each for one in estimates for each in (one.value, one.low, one.high) if each is not None]
        seen += [curve.chance for curve in curves if curve.chance is not None]
        seen = [each for each in seen if math.isfinite(each)] or [0.0]
        low, high = min(seen), max(seen)
        room = 0.06 * (high - low) or 0.05 * abs(high) or 0.05
        low, high = low - room, high + room
        rough = (high - low) / 4
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * each for each in (1, 2, 5, 10) if power * each >= rough * 0.7)
        return cls(low, high, step, curves[0].unit == "%")

    @property
    def ticks(self) -> list[float]:
        return [
            self.step * each for each in range(math.ceil(self.low / self.step), math.floor(self.high / self.step) + 1)
        ]

    def mark(self, value: float) -> str:
        scaled, step = (100 * value, 100 * self.step) if self.percent else (value, self.step)
        return f"{scaled:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}".replace("-", "−")

    def y(self, value: float, lower: float = 0.0) -> str:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return f"{HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM) + lower:.1f}"


def _level(name: str, value: float | None, axis: _Axis) -> list[Markup]:
    """Draw a line across the plot with its name."""
    if value is None or not math.isfinite(value):
        return []
    y, kind = axis.y(value), name.replace("-", "")
    side = (
        {"x": str(WIDTH - RIGHT), "class_": "level end"}
        if name == "chance"
        else {"x": str(LEFT + 3), "class_": "level"}
    )
    return [
        tag("line", class_=kind, x1=str(LEFT), x2=str(WIDTH - RIGHT), y1=y, y2=y),
        tag("text", name, y=axis.y(value, -4), **side),
    ]


def _layer_axis(lines: Sequence[Line]) -> list[Markup]:
    """Draw the names of the layers, or the depth in percent for models of different depth."""
    names = tuple(lines[0].layer_names)
    same = all(tuple(line.layer_names) == names for line in lines)
    marks = names if same else tuple(f"{share} %" for share in (0, 25, 50, 75, 100))
    every = math.ceil(len(marks) / MOST_MARKS)
    y = str(HEIGHT - BOTTOM + 15)
    found = [
        tag("text", mark, class_="middle", x=f"{_x(place, len(marks)):.1f}", y=y)
        for place, mark in enumerate(marks)
        if place % every == 0
    ]
    title = "layer" if same else "depth of the layer"
    return [*found, tag("text", title, class_="middle", x=str((LEFT + WIDTH - RIGHT) // 2), y=str(HEIGHT - 5))]


def _drawn(line: Line, axis: _Axis) -> Markup:
    """Draw a curve: its intervals, the line, and a mark for each layer."""
    curve, count = line.curve, len(line.curve.values)
    at = [(f"{_x(layer, count):.1f}", each) for layer, each in enumerate(curve.values) if math.isfinite(each.value)]
    upper = [f"{x},{axis.y(each.value if each.high is None else each.high)}" for x, each in at]
    lower = [f"{x},{axis.y(each.value if each.low is None else each.low)}" for x, each in reversed(at)]
    intervals = any(each.low is not None for each in curve.values)
    marks = [
        _mark(_x(layer, count), float(axis.y(each.value)), line.number, _rank(curve, layer), line.said(layer))
        for layer, each in enumerate(curve.values)
        if math.isfinite(each.value)
    ]
    return tag(
        "g",
        tag("polygon", points=" ".join(upper + lower)) if intervals else None,
        tag("polyline", points=" ".join(f"{x},{axis.y(each.value)}" for x, each in at)),
        *marks,
        class_=f"m{line.number}",
    )


def _rank(curve: LayerCurve, layer: int) -> str:
    return "best" if layer == curve.best else "good" if layer in curve.as_good else "less"


def _mark(x: float, y: float, number: int, rank: str, text: str) -> Markup:
    """Draw a circle for the first model, a square for the second; larger for the best layer."""
    size, title = 5.0 if rank == "best" else 3.2, tag("title", text)
    if number == 0:
        return tag("circle", title, class_=rank, cx=f"{x:.1f}", cy=f"{y:.1f}", r=str(size))
    side = str(2 * size)
    return tag("rect", title, class_=rank, x=f"{x - size:.1f}", y=f"{y - size:.1f}", width=side, height=side)

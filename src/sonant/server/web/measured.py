"""Measurements of the layers of models that were analyzed, for pages and JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from sonant.analysis import Analysis, LayerCurve
from sonant.analysis.card import read_card
from sonant.analysis.report.curves import Line, curve_chart, said
from sonant.checkpoints.location import shipped
from sonant.pages.html import Markup


@dataclass(frozen=True, kw_only=True)
class MeasuredLayers:
    """Measurements of the layers of a model by `sonant analyze`.

    Attributes:
        revision: of the weights.
        layer_names: as `layer` of requests counts them.
        data: name of the recordings.
        command: that measures the same again.
        created: date and time.
        summary: in plain words.
        curves: a property by layer, with chance and 95 % intervals; see `sonant.analysis.LayerCurve`.
    """

    revision: str
    layer_names: tuple[str, ...]
    data: str
    recordings: int
    seconds: float
    command: str
    created: str
    summary: tuple[str, ...]
    curves: tuple[LayerCurve, ...]


class LayerChart(NamedTuple):
    """A curve on the page of a model: its picture, and its values by layer as text."""

    curve: LayerCurve
    picture: Markup
    best: str
    values: list[str]


def measured_layers(card: Analysis | None) -> MeasuredLayers | None:
    """Return the measurements of the card of a model."""
    if card is None:
        return None
    model, data = card.models[0], card.data
    return MeasuredLayers(
        revision=model.revision,
        layer_names=model.layer_names,
        data=data.source,
        recordings=data.recordings,
        seconds=data.seconds,
        command=card.command,
        created=card.created,
        summary=model.summary,
        curves=model.curves,
    )


@cache
def shipped_layers(name: str) -> MeasuredLayers | None:
    """Return the measurements that come with a shipped model; None for other models."""
    folder = shipped(name)
    return None if folder is None else measured_layers(read_card(folder))


def layer_charts(measured: MeasuredLayers | None) -> list[LayerChart]:
    """Draw the curves."""
    return [] if measured is None else [_chart(measured.layer_names, curve) for curve in measured.curves]


def _chart(names: Sequence[str], curve: LayerCurve) -> LayerChart:
    values = [said(each, curve.unit) for each in curve.values]
    picture = curve_chart([Line(0, "", names, curve)])
    return LayerChart(curve, picture, f"Layer {names[curve.best]}: {values[curve.best]}", values)

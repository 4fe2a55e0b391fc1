"""Summary of an analysis in plain words, and the layers that it suggests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from sonant.analysis.label_curves import Pooling
from sonant.analysis.results import LayerCurve
from sonant.models.families import Preset, Task

# The curves that may stand for a task, the first that was measured counts: name, and measure or "" for any.
TASK_CURVES: Mapping[Task, tuple[tuple[str, str], ...]] = {
    "speaker": (("speaker", ""),),
    "content": (
        ("phone", "ABX error across speakers"),
        ("phone", "PNMI"),
        ("phone", "accuracy"),
        ("word", "ABX error across speakers"),
        ("word", "accuracy"),
        ("word", "PWCCA"),
    ),
    "emotion": (("emotion", ""),),
    "semantic": (("intent", ""),),
}


def summary_of(curves: Sequence[LayerCurve]) -> tuple[str, ...]:
    """Return sentences: where each property peaks, and whether other layers do as well."""
    if not curves:
        return ("Nothing could be measured.",)
    seen: dict[str, LayerCurve] = {}
    for curve in curves:
        if curve.kind != "similarity" and _is_found(curve):
            seen.setdefault(curve.name, curve)
    peaks = [
        f"{name} is alike in all layers"
        if len(curve.as_good) == len(curve.values) > 1
        else f"{name} peaks at layer {curve.best}"
        for name, curve in seen.items()
    ]
    first = [_capital(", ".join(peaks)) + "."] if peaks else []
    return (*first, *(_sentence(curve) for curve in curves))


def suggested_presets(
    curves: Sequence[LayerCurve], *, pool: Pooling, data: str, tasks: Mapping[Task, str]
) -> dict[Task, Preset]:
    """Return layer and pooling of the tasks about which something was measured.

    Args:
        pool: of the recordings' probes.
        data: name of the data, for the reason.
        tasks: names of curves that stand for tasks, such as {"emotion": "label"}; they win over `TASK_CURVES`. Curves
            that are not better than chance stand for none.
    """
    found: dict[Task, Preset] = {}
    for task, usual in TASK_CURVES.items():
        for name, measure in ((tasks[task], ""),) if task in tasks else usual:
            curve = next((each for each in curves if each.name == name and measure in ("", each.measure)), None)
            if curve is not None and _is_found(curve):
                found[task] = Preset(
                    curve.best,
                    None if task == "content" else pool,
                    f"measured: {curve.title} {_value(curve, curve.best)} on {data}{_ties(curve)}",
                )
                break
    return found


def _sentence(curve: LayerCurve) -> str:
    what = f"{_capital(curve.title)}: "
    if not _is_found(curve):
        return f"{what}no layer is better than chance, {_shown(curve, curve.chance or 0.0)}, beyond the interval."
    best = f"layer {curve.best} is best, {_value(curve, curve.best)}"
    others = [layer for layer in curve.as_good if layer != curve.best]
    if len(others) == len(curve.values) - 1:
        tied = "; no layer differs from it beyond the interval"
    elif others:
        tied = f"; {_layers(others)} {'is' if len(others) == 1 else 'are'} not told apart from it"
    else:
        tied = "; all other layers are worse, beyond the interval"
    flat = ""
    if curve.baseline is not None:
        flat = f". Log-mel has {_shown(curve, curve.baseline.value)}"
    return f"{what}{best}{tied}{flat}."


def _is_found(curve: LayerCurve) -> bool:
    """Return False if the best layer is not better than chance beyond its interval."""
    best = curve.values[curve.best]
    if curve.chance is None or best.low is None or best.high is None:
        return True
    return best.low > curve.chance if curve.higher_is_better else best.high < curve.chance


def _value(curve: LayerCurve, layer: int) -> str:
    found = curve.values[layer]
    if found.low is None or found.high is None:
        return _shown(curve, found.value)
    low, high = (f"{100 * each:.1f}" if curve.unit else f"{each:.3f}" for each in (found.low, found.high))
    return f"{_shown(curve, found.value)} [{low}, {high}]"


def _shown(curve: LayerCurve, value: float) -> str:
    return f"{100 * value:.1f} %" if curve.unit else f"{value:.3f}"


def _ties(curve: LayerCurve) -> str:
    others = [layer for layer in curve.as_good if layer != curve.best]
    return f"; not told apart from {_layers(others)}" if others else ""


def _layers(numbers: Sequence[int]) -> str:
    """Name layers: "layer 3", "layers 3 to 5 and 7"."""
    runs = [list(run) for _, run in groupby(enumerate(sorted(numbers)), key=lambda pair: pair[1] - pair[0])]
    spans = [f"{run[0][1]} to {run[-1][1]}" if len(run) > 1 else str(run[0][1]) for run in runs]
    text = spans[0] if len(spans) == 1 else f"{', '.join(spans[:-1])} and {spans[-1]}"
    return f"layer{'s' if len(numbers) > 1 else ''} {text}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

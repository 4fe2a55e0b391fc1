"""Projections of recordings and segments: what the script draws, and the controls around it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sonant.analysis.results import Analysis, Method, ModelAnalysis, Projection, Shown
from sonant.pages.html import Markup, joined, tag

MOST_POINTS = 1500  # of one projection; of more, every second, third, ... is shown
GRID = 1000  # points stand at whole numbers from 0 to this
MOST_NAMED = 12  # different values of a field; numbers with more are a quantity, with a color from low to high
METHODS: Mapping[Method, str] = {"pca": "PCA", "tsne": "t-SNE"}
KINDS: Mapping[Shown, str] = {"recordings": "recordings", "segments": "segments"}


def planes_data(analysis: Analysis, sounds: Mapping[int, str]) -> dict[str, Any]:
    """Return the projections of all models, as JSON values for the script.

    Points that are the same in several projections, but for where they stand, are described once.

    Args:
        sounds: data URIs by number of the recording.
    """
    sets: dict[int, dict[str, Any]] = {}
    seen: list[tuple[Any, int]] = []
    models = [[_projection(each, sets, seen) for each in model.projections] for model in analysis.models]
    used = {clip for each in sets.values() for clip in each["clips"]}
    clips = {
        str(number): [analysis.data.clips[number].name, round(analysis.data.clips[number].seconds, 2)]
        for number in sorted(used)
        if number < len(analysis.data.clips)
    }
    heard = {str(number): sounds[number] for number in sorted(used) if number in sounds}
    return {"models": models, "sets": list(sets.values()), "clips": clips, "sounds": heard}


def _projection(each: Projection, sets: dict[int, dict[str, Any]], seen: list[tuple[Any, int]]) -> dict[str, Any]:
    shown = _shown(len(each.points))
    described = (each.of, each.clips, each.times, dict(each.labels))
    place = next((number for known, number in seen if known == described), None)
    if place is None:
        place = len(sets)
        seen.append((described, place))
        sets[place] = {
            "of": each.of,
            "all": len(each.points),
            "clips": [each.clips[number] for number in shown],
            "times": [[round(time, 3) for time in each.times[number]] for number in shown] if each.times else None,
            "fields": {name: _field([values[number] for number in shown]) for name, values in each.labels.items()},
        }
    return {
        "layer": each.layer,
        "method": each.method,
        "of": each.of,
        "set": place,
        "explained": None if each.explained is None else [round(share, 3) for share in each.explained],
        "points": _whole([each.points[number] for number in shown]),
    }


def _shown(points: int) -> range:
    return range(0, points, -(-points // MOST_POINTS) or 1)


def _whole(points: Sequence[Sequence[float]]) -> list[int]:
    """Return x and y of each point in turn, at one scale for both, in the middle of the grid."""
    found = np.nan_to_num(np.asarray(points, dtype=np.float64).reshape(-1, 2))
    low, high = (found.min(0), found.max(0)) if len(found) else (np.zeros(2), np.ones(2))
    scale = max(float((high - low).max()), 1e-12)
    centered = (found - (low + high) / 2) / scale + 0.5
    centered[:, 1] = 1 - centered[:, 1]  # up is positive
    return np.rint(GRID * centered).astype(int).ravel().tolist()


def _field(values: Sequence[str | None]) -> dict[str, Any]:
    """Return the labels of a field by number, most frequent first; or its numbers, where it is a quantity."""
    quantities = _quantities(values)
    if quantities is not None:
        return {"numbers": quantities}
    counts = Counter(value for value in values if value is not None)
    names = sorted(counts, key=lambda name: (-counts[name], name))
    place = {name: number for number, name in enumerate(names)}
    return {
        "names": names,
        "counts": [counts[name] for name in names],
        "values": [-1 if value is None else place[value] for value in values],
    }


def _quantities(values: Sequence[str | None]) -> list[float | None] | None:
    """Return the values as numbers if they are those of a quantity: many, and not all whole, as names often are."""
    given = [value for value in values if value is not None]
    if len(set(given)) <= MOST_NAMED or not any("." in value for value in given):
        return None
    try:
        numbers = [None if value is None else float(value) for value in values]
    except ValueError:
        return None
    return numbers if all(number is None or np.isfinite(number) for number in numbers) else None


def planes(analysis: Analysis) -> Markup:
    """Return the controls, and a figure for each model, which the script fills."""
    projections = [each for model in analysis.models for each in model.projections]
    methods = [each for each in METHODS if any(projection.method == each for projection in projections)]
    kinds = [each for each in KINDS if any(projection.of == each for projection in projections)]
    controls = tag(
        "div",
        _choice("Method", "method", [(each, METHODS[each]) for each in methods]),
        _choice("Points", "of", [(each, KINDS[each]) for each in kinds]),
        tag("label", "Color ", tag("select", id="field")),
        tag("label", tag("input", type="checkbox", id="follow"), " Play what is under the pointer"),
        class_="controls",
    )
    figures = [_plane(model, number) for number, model in enumerate(analysis.models) if model.projections]
    return joined(
        tag("noscript", tag("p", "The points are drawn by the script of this page, which did not run.")),
        controls,
        tag("div", *figures, class_="planes"),
        tag("audio", id="sound", controls=True, aria_label="Sound of the chosen point"),
        tag("div", id="legend", class_="legend", role="group", aria_label="Labels: press one to show its points"),
        tag("p", id="shown", class_="dim"),
    )


def _choice(title: str, name: str, options: Sequence[tuple[str, str]]) -> Markup:
    buttons = [
        tag("label", tag("input", type="radio", name_=name, value=value, checked=not place), f" {text}")
        for place, (value, text) in enumerate(options)
    ]
    return tag("fieldset", tag("legend", title), *buttons)


def _plane(model: ModelAnalysis, number: int) -> Markup:
    slider = tag("input", type="range", min="0", max="0", value="0", class_="layer")
    label = "Arrow keys go from point to point, Enter plays the sound, Escape stops it."
    return tag(
        "figure",
        tag("figcaption", tag("strong", model.name, class_=f"m{number}"), tag("span", class_="explained")),
        tag(
            "svg",
            tag("g", class_="points"),
            tag("path", class_="chosen", visibility="hidden"),
            viewBox=f"-20 -20 {GRID + 40} {GRID + 40}", tabindex="0", role="application", class_="plane",
            aria_label=f"Points of {model.name}. {label}",
        ),
        tag("label", "Layer ", slider, " ", tag("output", class_="layer-name")),
        tag("output", tag("span", "Press a point to play its sound."), class_="readout", aria_live="polite"),
        data_model=str(number), data_layer=str(next((each.best for each in model.curves if each.kind == "probe"), 0)),
    )  # fmt: skip

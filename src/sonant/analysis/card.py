"""Measurements of the layers in the folder of a model: for its model card, the catalog and servers."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sonant.analysis.results import Analysis, DataSummary, LayerCurve, ModelAnalysis
from sonant.data.files import atomic
from sonant.errors import ConfigurationError, ModelWarning, warn

FILE_NAME, README = "analysis.json", "README.md"
BEGIN, END = "<!-- measured by sonant analyze -->", "<!-- end of what sonant analyze measured -->"
MOST_BYTES = 32_000_000  # of a file that is read
MOST_AS_GOOD = 6  # layers that are listed


def card_of(analysis: Analysis, place: int = 0) -> Analysis:
    """Return what a card needs of one model: no recordings, no projections.

    Args:
        place: of the model in the analysis.
    """
    model, data = analysis.models[place], analysis.data
    kept = DataSummary(
        source=Path(data.source).name,
        recordings=data.recordings,
        seconds=data.seconds,
        labels=data.labels,
        splits=data.splits,
        split_by=data.split_by,
        not_measured=data.not_measured,
    )
    return replace(analysis, models=(replace(model, projections=()),), data=kept)


def write_card(folder: str | os.PathLike[str], analysis: Analysis, place: int = 0) -> None:
    """Write the measurements of one model into its folder: analysis.json, and a section of README.md.

    A section of an earlier analysis is replaced; the rest of README.md is kept.
    """
    card, readme = card_of(analysis, place), Path(folder) / README
    with atomic(Path(folder) / FILE_NAME) as draft:
        draft.write_text(json.dumps(card.to_json(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    text = readme.read_text(encoding="utf-8") if readme.exists() else f"# {_escaped(card.models[0].name)}\n"
    before, begun, rest = text.partition(BEGIN)
    after = rest.partition(END)[2] if begun else ""
    with atomic(readme) as draft:
        parts = [before.rstrip(), BEGIN, card_section(card), END]
        draft.write_text("\n\n".join(parts) + (after if after.strip() else "\n"), encoding="utf-8")


def read_card(folder: str | os.PathLike[str]) -> Analysis | None:
    """Read the measurements in the folder of a model; None if it has none, or, with a warning, if they are damaged."""
    path = Path(folder) / FILE_NAME
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigurationError(f"it has more than {MOST_BYTES:,} bytes")
        analysis = Analysis.from_json(json.loads(path.read_bytes()))
        if len(analysis.models) != 1:
            raise ConfigurationError(f"it is of {len(analysis.models)} models; expected one")
        return card_of(analysis)
    except (OSError, ValueError, AttributeError, ConfigurationError, RecursionError) as error:
        warn(f"{path} is not used: {error}", ModelWarning)
        return None


def card_section(card: Analysis) -> str:
    """Return the section of a model card, in Markdown: where each property is found best, the command and the data."""
    model, data = card.models[0], card.data
    parts = ["## What the layers know"]
    parts += ["\n".join(f"- {_escaped(sentence)}" for sentence in model.summary)] if model.summary else []
    rows = [["property", "measure", "best layer", "value", "chance", "as good"], ["---"] * 6]
    rows += [[_escaped(cell) for cell in best_row(model, curve)] for curve in model.curves]
    if model.curves:
        parts.append("\n".join("| " + " | ".join(row) + " |" for row in rows))
    if model.presets:
        parts.append("\n".join(f"- {_escaped(line)}" for line in _preset_lines(model)))
    parts.append(
        f"Measured on {data.recordings:,} recordings, {data.seconds / 60:.1f} minutes, of {_escaped(data.source)}, "
        f"{card.created[:10]}, with the weights {_escaped(model.revision)}. Brackets are 95 % intervals; the best "
        "layer is chosen on development recordings where there are any, and layers as good are not told apart from it:"
    )
    command = card.command.replace("```", "'''")
    return "\n\n".join([*parts, f"```console\n$ {command}\n```"])


def best_row(model: ModelAnalysis, curve: LayerCurve) -> list[str]:
    """Return property, measure, best layer, its value, chance, and the layers that are as good, as text."""
    best = curve.values[curve.best]
    value = f"{best} %" if curve.unit == "%" else _plain(best.value, best.low, best.high)
    chance = "" if curve.chance is None else f"{100 * curve.chance:.1f} %" if curve.unit else f"{curve.chance:.3g}"
    others = [model.layer_names[layer] for layer in curve.as_good if layer != curve.best]
    more = ", ..." if len(others) > MOST_AS_GOOD else ""
    measure = curve.measure if curve.higher_is_better else f"{curve.measure}, lower is better"
    return [curve.name, measure, model.layer_names[curve.best], value, chance, ", ".join(others[:MOST_AS_GOOD]) + more]


def _plain(value: float, low: float | None, high: float | None) -> str:
    return f"{value:.3g}" if low is None or high is None else f"{value:.3g} [{low:.3g}, {high:.3g}]"


def _preset_lines(model: ModelAnalysis) -> Iterator[str]:
    for task, preset in model.presets.items():
        pool = f', pool="{preset.pool}"' if preset.pool else ""
        yield f"{task}: encode(..., layer={preset.layer}{pool}): {preset.why}"


def _escaped(text: str) -> str:
    """Keep Markdown from reading names as markup, and each on its line."""
    text = " ".join(text.split())
    for mark in "\\`*_[]":
        text = text.replace(mark, f"\\{mark}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "&#124;")

"""The page of an analysis: a summary in words, curves by layer, projections with sounds, and how it was made."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from sonant.analysis.report.curves import Figure, Line, curve_figure, said
from sonant.analysis.report.matrices import similarity_figure
from sonant.analysis.report.planes import planes, planes_data
from sonant.analysis.report.style import ANALYSIS_STYLE
from sonant.analysis.results import Analysis, Kind, ModelAnalysis
from sonant.pages.bars import bars
from sonant.pages.html import Content, Markup, data_block, document, joined, table, tag
from sonant.pages.style import STYLE

SECTIONS: Sequence[tuple[str, str, str, tuple[Kind, ...]]] = (
    ("probes", "What linear probes find", "A linear model learns the property from the frozen layer.", ("probe",)),
    (
        "similarity",
        "Similarity, units and ABX",
        (
            "CKA and PWCCA are 1 where a linear map makes one of the other. Purity and PNMI say how well clusters of "
            "frames tell the phones. ABX counts sounds that are nearer to another kind than to their own."
        ),
        ("similarity", "units", "abx"),
    ),
)
MARKS = (
    "Bands are 95 % intervals; the large mark is the best layer, chosen on development recordings where there are any, "
    "and filled marks are not told apart from it: the interval of the difference holds 0. Layer 0 is the input of the "
    "first block, layer i the output of block i."
)
MOST_FAILURES = 20
SCRIPTS = ("elements.js", "steps.js", "planes.js")  # one behind another


def report_page(analysis: Analysis, clips: Mapping[int, str] | None = None) -> str:
    """Return the page of an analysis as HTML that loads nothing.

    A projection takes 12 kB or less, as no more than 1,500 of its points are shown; the sounds take the rest, 6 MB or
    less of `point_sounds`.

    Args:
        clips: data URIs of recordings, by their number in the data, as `point_sounds` makes them.
    """
    figures: list[Figure] = []
    sections: list[tuple[str, str, Content]] = [("summary", "In short", _summary(analysis.models))]
    if any(model.presets for model in analysis.models):
        sections.append(("presets", "Suggested layers", _presets(analysis.models)))
    for name, title, about, kinds in SECTIONS:
        lines = _lines(analysis.models, kinds)
        if lines:
            grid = _grid([curve_figure(each, len(figures) + place) for place, each in enumerate(lines)], figures)
            sections.append((name, title, joined(tag("p", about, " ", MARKS, class_="dim"), grid, _values(lines))))
    data = planes_data(analysis, clips or {})
    if any(data["models"]):
        sections.append(("plane", "Recordings and segments in the plane", planes(analysis)))
    similar = [(place, model) for place, model in enumerate(analysis.models) if model.similarity]
    if similar:
        found = [
            similarity_figure(model, place, len(figures) + number) for number, (place, model) in enumerate(similar)
        ]
        text = tag("p", "Linear CKA of all pairs of layers.", class_="dim")
        sections.append(("layers", "Layers beside each other", joined(text, _grid(found, figures))))
    if any(model.task_weights for model in analysis.models):
        sections.append(("weights", "Weights that tasks learned", _weights(analysis.models)))
    sections.append(("made", "How it was made", _made(analysis, len(data["sounds"]))))
    names = " and ".join(model.name for model in analysis.models)
    title = f"What the layers of {names} know"
    links = [tag("li", tag("a", text, href=f"#{name}")) for name, text, _ in sections]
    return document(
        title,
        STYLE + ANALYSIS_STYLE,
        tag("a", "Skip to the results", href="#results", class_="skip"),
        tag(
            "header",
            tag("h1", title),
            tag("p", _about(analysis), class_="dim"),
            _key(analysis.models),
            tag("nav", tag("ul", *links), aria_label="Sections"),
        ),
        tag(
            "main",
            *(tag("section", tag("h2", text, id=name), content) for name, text, content in sections),
            id="results",
        ),
        data_block("figures", [figure.steps for figure in figures]),
        data_block("planes", data),
        script="\n".join(Path(__file__).with_name(name).read_text(encoding="utf-8") for name in SCRIPTS),
    )


def _about(analysis: Analysis) -> str:
    data = analysis.data
    fields = ", ".join(f"{count} of {name}" for name, count in data.labels.items())
    return (
        f"{data.recordings:,} recordings, {data.seconds / 60:.1f} minutes, of {data.source}"
        + (f"; different values: {fields}" if fields else "")
        + f". {analysis.created[:10]}."
    )


def _key(models: Sequence[ModelAnalysis]) -> Markup | None:
    """Say which color is which model."""
    if len(models) < 2:
        return None
    return tag("p", *(tag("span", model.name, class_=f"key m{number}") for number, model in enumerate(models)))


def _summary(models: Sequence[ModelAnalysis]) -> Markup:
    return joined(
        *(
            joined(
                tag("h3", model.name, class_=f"m{number}") if len(models) > 1 else None,
                tag("ul", *(tag("li", sentence) for sentence in model.summary), class_="said")
                if model.summary
                else tag("p", "Too little was measured to say anything in words."),
            )
            for number, model in enumerate(models)
        )
    )


def _presets(models: Sequence[ModelAnalysis]) -> Markup:
    heads = ["Task", "Layer", "Pooling", "In Python", "Why"]
    tables = []
    for model in models:
        rows = []
        for task, preset in model.presets.items():
            pool = "" if preset.pool is None else f', pool="{preset.pool}"'
            code = tag("code", f'encoder.encode("speech.wav", layer={preset.layer}{pool})')
            rows.append([task, str(preset.layer), preset.pool or "none: frames", code, preset.why])
        if rows:
            load = tag("pre", tag("code", f"import sonant\nencoder = sonant.load({_quoted(model.name)})"), tabindex="0")
            tables.append(joined(load, tag("div", table(model.name, heads, rows), class_="presets")))
    return joined(*tables)


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _lines(models: Sequence[ModelAnalysis], kinds: Sequence[Kind]) -> list[list[Line]]:
    """Return the curves of some kinds, those of one measure together."""
    names = [model.name.rstrip("/").rpartition("/")[2] if len(models) > 1 else "" for model in models]
    found: dict[str, list[Line]] = {}
    for number, model in enumerate(models):
        for curve in model.curves:
            if curve.kind in kinds:
                found.setdefault(curve.title, []).append(Line(number, names[number], model.layer_names, curve))
    return list(found.values())


def _grid(new: Sequence[Figure], figures: list[Figure]) -> Markup:
    figures += new
    return tag("div", *(figure.markup for figure in new), class_="grid")


def _values(groups: Sequence[Sequence[Line]]) -> Markup:
    """Return the values of the figures as a table."""
    lines = [line for group in groups for line in group]
    several = len({line.number for line in lines}) > 1
    heads = ["Layer", *(line.curve.title + (f": {line.name}" if several else "") for line in lines)]
    longest = max(lines, key=lambda line: len(line.curve.values)).layer_names
    rows = [
        [name, *(_cell(line, layer) for line in lines)]
        for layer, name in enumerate(longest)
    ]  # fmt: skip
    for name, levels in (
        ("chance", [None if line.curve.chance is None else _level(line, line.curve.chance) for line in lines]),
        ("log-mel", [said(each, line.curve.unit) if (each := line.curve.baseline) else None for line in lines]),
    ):
        if any(levels):
            rows.append([name, *(level or "–" for level in levels)])
    return tag("details", tag("summary", "Values as a table"), table("The best layer is bold.", heads, rows))


def _cell(line: Line, layer: int) -> str:
    if layer >= len(line.curve.values):
        return "–"
    text = said(line.curve.values[layer], line.curve.unit)
    return tag("strong", text) if layer == line.curve.best else text


def _level(line: Line, value: float) -> str:
    return f"{100 * value:.1f} %" if line.curve.unit else f"{value:.3g}"


def _weights(models: Sequence[ModelAnalysis]) -> Markup:
    charts = []
    for model in models:
        for each in model.task_weights:
            states = [*map(str, range(len(each.weights) - 1)), "out"]
            chart = bars(f"{each.task}: {model.name}", each.weights, states)
            charts.append(tag("div", chart, tag("p", f"From {each.source}.", class_="dim")))
    text = "The sum of states that a trained head takes: states from 0, and the output of the model."
    return joined(tag("p", text, class_="dim"), tag("div", *charts, class_="charts"))


def _made(analysis: Analysis, sounds: int) -> Markup:
    data = analysis.data
    facts: list[tuple[str, Content]] = [("Data", data.source)]
    if data.splits:
        splits = ", ".join(f"{count:,} {name}" for name, count in data.splits.items())
        facts.append(("Recordings", f"{splits}. {data.split_by}".strip()))
    facts += [(model.name, model.revision) for model in analysis.models]
    facts.append(("Made", analysis.created))
    if analysis.seconds is not None:
        facts.append(("Took", f"{analysis.seconds:.0f} s"))
    facts.append(("On this page", f"The sounds of {sounds:,} of {data.recordings:,} recordings."))
    terms = [part for name, value in facts for part in (tag("dt", name), tag("dd", value))]
    failed = list(data.failures.items())
    more = f" The first {MOST_FAILURES}:" if len(failed) > MOST_FAILURES else ""
    failures = (
        tag("p", f"{len(failed):,} recordings could not be used.{more}"),
        tag("ul", *(tag("li", f"{name}: {message}") for name, message in failed[:MOST_FAILURES])),
    )
    again = tag("pre", tag("code", analysis.command), tabindex="0", aria_label="The command that makes it again")
    return joined(
        again if analysis.command else None,  # none of a call in Python
        tag("dl", *terms),
        tag("h3", "Not measured") if data.not_measured else None,
        tag("ul", *(tag("li", sentence) for sentence in data.not_measured)) if data.not_measured else None,
        *(failures if failed else ()),
    )

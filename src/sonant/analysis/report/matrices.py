"""Similarity of layers as a matrix of squares."""

from collections.abc import Sequence

from sonant.analysis.report.curves import Figure
from sonant.analysis.results import ModelAnalysis
from sonant.pages.html import joined, tag

SIDE, EDGE = 320, 34  # of the matrix, and of the margin with the names of layers
MOST_MARKS = 13


def similarity_figure(model: ModelAnalysis, place: int, number: int) -> Figure:
    """Draw the similarity of all pairs of layers of a model.

    Args:
        place: of the model on the page, 0 or 1.
        number: of the figure on the page.
    """
    names, count = model.layer_names, len(model.similarity)
    cell = SIDE / max(count, 1)
    low = min((value for row in model.similarity for value in row), default=0.0)
    spread = max(1 - low, 1e-9)
    cells = [
        tag(
            "rect",
            class_="cell",
            x=f"{EDGE + column * cell:.1f}",
            y=f"{row * cell:.1f}",
            width=f"{cell + 0.1:.1f}",
            height=f"{cell + 0.1:.1f}",
            fill_opacity=f"{(value - low) / spread:.3f}",
        )
        for row, values in enumerate(model.similarity)
        for column, value in enumerate(values)
    ]
    every = -(-count // MOST_MARKS)
    shown = [place for place in range(count) if place % every == 0]
    marks = [tag("text", names[at], class_="middle", x=_at(at, cell, EDGE), y=str(SIDE + 15)) for at in shown]
    marks += [tag("text", names[at], class_="end", x=str(EDGE - 6), y=_at(at, cell, 4)) for at in shown]
    marks.append(tag("text", "layer", class_="middle", x=str(EDGE + SIDE // 2), y=str(SIDE + 30)))
    ends = f"From {low:.2f}, the lightest, to 1, the strongest color."
    chart = tag(
        "svg",
        tag("g", joined(*cells), class_=f"m{place}"),
        joined(*marks),
        tag("rect", class_="cursor", visibility="hidden"),
        viewBox=f"0 0 {EDGE + SIDE + 2} {SIDE + 36}", role="img", tabindex="0", data_steps=str(number),
        aria_label=f"Similarity of the layers of {model.name}. {ends} {_neighbors(model)}",
    )  # fmt: skip
    readout = tag("output", tag("span", ends), class_="readout", aria_live="polite")
    markup = tag("figure", tag("figcaption", tag("strong", model.name)), chart, readout)
    centers = [round((at + 0.5) * cell, 1) for at in range(count)]
    texts = [
        [[[place, f"layers {names[row]} and {names[column]}: {value:.3f}"]] for column, value in enumerate(values)]
        for row, values in enumerate(model.similarity)
    ]
    size = round(cell, 1)
    return Figure(
        markup, {"x": [round(EDGE + at, 1) for at in centers], "y": centers, "size": [size, size], "texts": texts}
    )


def _at(place: int, cell: float, more: float) -> str:
    return f"{(place + 0.5) * cell + more:.1f}"


def _neighbors(model: ModelAnalysis) -> str:
    """Say where neighboring layers differ most."""
    steps: Sequence[float] = [model.similarity[at][at + 1] for at in range(len(model.similarity) - 1)]
    if not steps:
        return ""
    least = min(range(len(steps)), key=steps.__getitem__)
    return f"Neighbors differ most between layers {model.layer_names[least]} and {model.layer_names[least + 1]}."

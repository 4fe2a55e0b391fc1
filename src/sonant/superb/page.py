"""Page of an evaluation: one HTML file without scripts."""

from collections.abc import Sequence

from sonant.pages.html import Markup, document, joined, table, tag
from sonant.pages.style import STYLE
from sonant.superb.report import LAYERS_NOTE, NOTE, SuperbRow, choices_table, layers_table, results_table, weights_table
from sonant.superb.tasks import SUPERB_TASKS

BAR_HEIGHT, BAR_WIDTH = 80, 14
CHARTS = """
svg { display: block; margin: .6rem 0; } svg rect { fill: var(--accent); } svg text { fill: var(--dim); }
svg text { font-size: 9px; }
"""


def superb_page(rows: Sequence[SuperbRow]) -> str:
    """Return the page: results beside published ones, weights of the states as bars, and what was chosen."""
    tasks = ", ".join(f"{task}: {SUPERB_TASKS[task].title}" for task in dict.fromkeys(row.task for row in rows))
    heads, lines = weights_table(rows)
    weights = [
        tag("h2", "Weights of the states"),
        tag("p", "Scaled weights are multiplied by the mean norm of each state; the last state is the output."),
        *(_bars(line) for line in lines if line[2] == "scaled"),
        table("In percent.", heads, lines),
    ]
    usual_heads, usual = layers_table(rows)
    layers = [tag("h2", "Layers"), table("Said, and found.", usual_heads, usual), tag("p", LAYERS_NOTE, class_="dim")]
    body = tag(
        "main",
        tag("h1", "SUPERB"),
        tag("p", tasks),
        table("Results, and published ones.", *results_table(rows)),
        tag("p", NOTE, class_="dim"),
        *(weights if lines else []),
        *(layers if usual else []),
        tag("h2", "Chosen on the development sets"),
        table("By task and model.", *choices_table(rows)),
    )
    return document("SUPERB", STYLE + CHARTS, body)


def _bars(line: Sequence[str]) -> Markup:
    """Draw the weights of a line of the table."""
    task, model, _, *cells = line
    values = [float(cell) for cell in cells if cell]
    most = max([*values, 1e-9])
    width = BAR_WIDTH * len(values)
    bars = [
        joined(
            tag(
                "rect",
                x=str(BAR_WIDTH * number + 1),
                y=f"{BAR_HEIGHT * (1 - value / most):.1f}",
                width=str(BAR_WIDTH - 2),
                height=f"{BAR_HEIGHT * value / most:.1f}",
            ),
            tag("text", str(number), x=str(BAR_WIDTH * number + 2), y=str(BAR_HEIGHT + 10)),
        )
        for number, value in enumerate(values)
    ]
    name = f"{task}, {model}"
    chart = tag("svg", *bars, role="img", aria_label=name, width=str(width), height=str(BAR_HEIGHT + 14))
    return tag("section", tag("h3", name), chart)

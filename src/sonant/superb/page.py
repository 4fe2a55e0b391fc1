"""Page of an evaluation: one HTML file without scripts."""

from collections.abc import Sequence

from sonant.pages.bars import bars
from sonant.pages.html import Markup, document, table, tag
from sonant.pages.style import STYLE
from sonant.superb.report import LAYERS_NOTE, NOTE, SuperbRow, choices_table, layers_table, results_table, weights_table
from sonant.superb.tasks import SUPERB_TASKS


def superb_page(rows: Sequence[SuperbRow]) -> str:
    """Return the page: results beside published ones, weights of the states as bars, and what was chosen."""
    tasks = ", ".join(f"{task}: {SUPERB_TASKS[task].title}" for task in dict.fromkeys(row.task for row in rows))
    heads, lines = weights_table(rows)
    weights = [
        tag("h2", "Weights of the states"),
        tag("p", "Scaled weights are multiplied by the mean norm of each state; the last state is the output."),
        tag("div", *(_bars(line) for line in lines if line[2] == "scaled"), class_="charts"),
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
    return document("SUPERB", STYLE, body)


def _bars(line: Sequence[str]) -> Markup:
    """Draw the weights of a line of the table."""
    task, model, _, *cells = line
    values = [float(cell) for cell in cells if cell]
    return bars(f"{task}, {model}", values, [str(number) for number in range(len(values))])

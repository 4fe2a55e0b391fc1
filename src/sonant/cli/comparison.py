"""Comparison of models in a terminal, one column per model; in a pipe, one line per fact."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from sonant.cli.console import make_console, print_parts
from sonant.models.catalog import Card
from sonant.models.families import Preset
from sonant.models.side_by_side import Score, scores

BEST = "*"
LABEL_WIDTH, LEAST_WIDTH = 22, 8  # characters: of the first column, and least of a model's column
MOST_IN_A_CELL = 3  # benchmarks with more metrics have one line per metric


Cell = str | Text
Line = tuple[str, list[Cell]]  # label, and cells by model


FACTS: tuple[tuple[str, Callable[[Card], str]], ...] = (
    ("family", lambda card: card.family),
    ("parameters", lambda card: f"{card.parameters / 1e6:,.1f} M"),
    ("layers", lambda card: str(card.config.num_layers)),
    ("dim", lambda card: str(card.config.dim)),
    ("frames", lambda card: f"{card.frame_rate:g} a second"),
    ("input normalized", lambda card: "yes" if card.config.normalize else "no"),
    ("trained on", lambda card: card.data),
    ("hours", lambda card: "not said" if card.hours is None else f"{card.hours:,}"),
    ("languages", lambda card: card.languages),
    ("fine-tuned on", lambda card: card.labels or "-"),
    ("license", lambda card: card.license),
)


def as_data(cards: Sequence[Card]) -> list[dict[str, Any]]:
    """Return the published numbers as plain data."""
    return [{**score._asdict(), "best": score.best} for score in scores(cards)]


def print_comparison(cards: Sequence[Card]) -> None:
    """Print the models side by side."""
    console = make_console()
    facts: list[Line] = [("", [Text(card.name, style="bold") for card in cards])]
    facts += [(name, [value(card) for card in cards]) for name, value in FACTS]
    presets: list[Line] = [(task, [_preset(card.presets[task]) for card in cards]) for task in cards[0].presets]
    sections = [("", facts), ("Layer and pooling by task", presets), *_results(cards)]
    widths = _widths(console, [line for _, lines in sections for line in lines])
    if not console.is_terminal:
        console.width = sum(widths) + 2 * len(widths)
    parts: list[RenderableType] = []
    for heading, lines in sections:
        parts += ["", Text(heading, style="bold")] if heading else []
        parts.append(_table(lines, widths))
    print_parts(console, [*parts, "", *(Text(note, style="dim") for note in _footnotes(cards))])


def _preset(preset: Preset) -> str:
    return f"layer {preset.layer}, {preset.pool or 'frames'}"


def _results(cards: Sequence[Card]) -> Iterator[tuple[str, list[Line]]]:
    """Yield a heading and its lines for each benchmark."""
    for benchmark, group in groupby(scores(cards), key=lambda score: score.benchmark):
        conditions: dict[str, list[Score]] = {}
        metrics: dict[str, None] = {}
        for score in group:
            conditions.setdefault(score.condition, []).append(score)
            metrics[score.metric] = None
        if len(metrics) > MOST_IN_A_CELL:
            for condition, rows in conditions.items():
                yield (
                    f"{benchmark}, {condition}",
                    [(row.metric, [_cell([row], card) for card in cards]) for row in rows],
                )
        else:
            lines: list[Line] = [(key, [_cell(rows, card) for card in cards]) for key, rows in conditions.items()]
            yield f"{benchmark}, {' / '.join(metrics)}", lines


def _cell(rows: Sequence[Score], card: Card) -> Cell:
    """Return a model's cell for one condition."""
    known = [_number(row, card) for row in rows]
    return Text(" / ").join(known) if any(card.name in row.values for row in rows) else "-"


def _number(score: Score, card: Card) -> Text:
    value = score.values.get(card.name)
    if value is None:
        return Text("-")
    is_best = value == score.best
    return Text(f"{value:.{score.digits}f}{BEST if is_best else ''}", style="bold" if is_best else "")


def _widths(console: Console, lines: Sequence[Line]) -> list[int]:
    """Return the widths of columns: equal in a terminal, those of the longest cells in a pipe."""
    count = len(lines[0][1])
    if console.is_terminal:
        return [LABEL_WIDTH, *[max(LEAST_WIDTH, (console.width - LABEL_WIDTH - 2 * count) // count)] * count]
    longest = [max(len(cells[i]) for _, cells in lines) for i in range(count)]
    return [max(len(label) for label, _ in lines), *longest]


def _table(lines: Sequence[Line], widths: Sequence[int]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for i, width in enumerate(widths):
        table.add_column(width=width, overflow="fold", style="" if i else "dim")
    for label, cells in lines:
        table.add_row(label, *cells)
    return table


def _footnotes(cards: Sequence[Card]) -> Iterator[str]:
    if any(score.best is not None for score in scores(cards)):
        yield f"{BEST} the best of these models"
    sources = dict.fromkeys(result.source for card in cards for result in card.results)
    yield f"sources: {'; '.join(sources)}" if sources else "none of them is in our tables of published results"

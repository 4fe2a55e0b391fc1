"""The catalog in a terminal; in a pipe plain text, one model per line."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sonant.analysis import Analysis
from sonant.analysis.card import best_row
from sonant.cli.console import make_console, plain_table, print_parts
from sonant.models.catalog import Card
from sonant.models.families import family_of
from sonant.models.published_results import Result

MOST_COLUMNS = 6  # a benchmark with more metrics is printed as a list


class Column(NamedTuple):
    """A column of the list, shown where the terminal is wide enough for it."""

    title: str
    value: Callable[[Card], str]
    right: bool = False
    from_width: int = 0  # characters


COLUMNS = (
    Column("model", lambda card: card.name),
    Column("parameters", lambda card: f"{card.parameters / 1e6:,.1f} M", right=True),
    Column("layers", lambda card: str(card.config.num_layers), right=True),
    Column("dim", lambda card: str(card.config.dim), right=True),
    Column("hours", lambda card: _number(card.hours), right=True),
    Column("speech", lambda card: card.languages, from_width=92),
    Column("fine-tuned on", lambda card: (card.labels or "").partition(",")[0], from_width=112),
    Column("pretrained on", lambda card: card.data, from_width=160),
)


def print_list(cards: Sequence[Card]) -> None:
    """Print one line for each model."""
    console = make_console()
    columns = [column for column in COLUMNS if column.from_width <= console.width]
    table = plain_table()
    for column in columns:
        # The name is never cut: users type it.
        width = max(len(column.value(card)) for card in cards) if column is COLUMNS[0] and cards else None
        table.add_column(column.title, justify="right" if column.right else "left", no_wrap=True, min_width=width)
    for card in cards:
        table.add_row(*(column.value(card) for column in columns))
    parts: list[RenderableType] = [table]
    if console.is_terminal:
        parts += ["", Text("sonant models show ID prints one of them in full.", style="dim")]
    print_parts(console, parts)


def print_card(card: Card, loading: Mapping[str, str], measured: Analysis | None = None) -> None:
    """Print all facts about one model; `measured`: of its layers."""
    presets = plain_table("task", "layer", "pool", "why")
    for task, preset in card.presets.items():
        presets.add_row(task, str(preset.layer), preset.pool or "none: frames", preset.why)
    parts: list[RenderableType] = [Text.assemble((card.title, "bold"), "  ", (card.name, "dim")), ""]
    parts.append(_pairs(_facts(card)))
    for note in card.notes:
        parts += ["", Text(note, style="italic")]
    parts += ["", Text("Published results", style="bold"), *_results(card)]
    parts += ["", Text("Layer and pooling by task", style="bold"), _indent(presets)]
    parts += _measured(measured) if measured else []
    parts += ["", Text("How to load", style="bold"), _indent(_pairs(loading.items()))]
    print_parts(make_console(), parts)


def print_measured(measured: Analysis) -> None:
    """Print what was measured of the layers of a model."""
    print_parts(make_console(), _measured(measured))


def _measured(measured: Analysis) -> list[RenderableType]:
    model, data = measured.models[0], measured.data
    table = plain_table("property", "measure", "best layer", "value", "chance", "as good")
    for curve in model.curves:
        table.add_row(*map(Text, best_row(model, curve)))
    about = f"{data.recordings:,} recordings of {data.source}, {measured.created[:10]}: {measured.command}"
    title = Text("Measured by layer", style="bold")
    return ["", title, _indent(table), Padding(Text(about, style="dim"), (0, 0, 0, 2))]


def _facts(card: Card) -> Iterable[tuple[str, str]]:
    config = card.config
    yield "family", card.family
    yield "parameters", f"{card.parameters:,} (encoder, without heads)"
    yield from family_of(config).shape.parts(config).items()
    yield "layers", f"0 (input of the first block) to {config.num_layers}, and last (the model's output)"
    yield (
        "frames",
        f"{card.frame_rate:g} a second; each sees {1000 * config.receptive_field / config.sampling_rate:g} ms",
    )
    yield "input", f"{config.sampling_rate} Hz mono, {'' if config.normalize else 'not '}normalized"
    hours = "" if card.hours is None else f"{card.hours:,} h of "
    yield "trained on", f"{hours}{card.languages}: {card.data}"
    if card.labels:
        yield "fine-tuned", f"on {card.labels}" + (f"; from {card.pretrained}" if card.pretrained else "")
    yield "license", card.license
    title, address = card.paper
    yield "source", f"{title}, {address}"
    if card.address:
        yield "file", card.address


def _results(card: Card) -> Iterable[RenderableType]:
    """Yield a table for each benchmark, then the sources by number."""
    if not card.results:
        see = f"; see {card.pretrained} for the authors' own fine-tuned models" if card.pretrained else ""
        yield f"  none in our tables{see}"
    sources = {source: f"[{i}]" for i, source in enumerate(dict.fromkeys(row.source for row in card.results), start=1)}
    for (benchmark, metrics), group in groupby(card.results, key=lambda row: (row.benchmark, tuple(row.scores))):
        if len(metrics) > MOST_COLUMNS:
            yield from (_as_list(row, sources[row.source]) for row in group)
        else:
            yield _as_table(benchmark, metrics, list(group), sources)
    for source, mark in sources.items():
        yield Text(f"  {mark} {source}", style="dim")


def _as_list(row: Result, mark: str) -> RenderableType:
    scores = [f"{metric} {score:.{max(2, _digits(score))}f}" for metric, score in row.scores.items()]
    title = Text.assemble((row.benchmark, "bold"), f"  {row.condition}  {mark}")
    return Padding(Group(title, Padding(Columns(scores, padding=(0, 3)), (0, 0, 0, 2))), (0, 0, 0, 2))


def _as_table(benchmark: str, metrics: Sequence[str], rows: Sequence[Result], marks: Mapping[str, str]) -> Padding:
    digits = max(_digits(score) for row in rows for score in row.scores.values())
    table = plain_table()
    table.add_column(Text(benchmark, style="bold"))
    for metric in metrics:
        table.add_column(metric, justify="right", no_wrap=True)
    table.add_column("")
    for row in rows:
        table.add_row(row.condition, *(f"{score:.{digits}f}" for score in row.scores.values()), marks[row.source])
    return _indent(table)


def _digits(score: float) -> int:
    """Return the number of digits after the decimal point."""
    return len(repr(score).partition(".")[2])


def _pairs(pairs: Iterable[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(name, value)
    return table


def _indent(table: Table) -> Padding:
    return Padding(table, (0, 0, 0, 2))


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"

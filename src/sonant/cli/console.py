"""The console for printing: a terminal with colors, or a pipe with one item per line."""

from collections.abc import Sequence

from rich.console import Console, RenderableType
from rich.table import Table

PIPE_WIDTH = 260  # characters; wider than all rows of lists


def make_console() -> Console:
    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=PIPE_WIDTH)


def print_parts(console: Console, parts: Sequence[RenderableType]) -> None:
    """Print parts, in a pipe without trailing blanks."""
    if console.is_terminal:
        console.print(*parts, sep="\n")
        return
    with console.capture() as captured:
        console.print(*parts, sep="\n")
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def plain_table(*titles: str) -> Table:
    """Return a table without rules."""
    return Table(*titles, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")

"""Writes the table of models into models.md.  `python docs/catalogue.py`; a test holds that it is current."""

import re
from pathlib import Path

from sonant.models.catalog import CATALOG, Card

PAGE = Path(__file__).parent / "models.md"
BEGIN, END = "<!-- catalogue: written by docs/catalogue.py -->\n", "<!-- end of catalogue -->\n"


def table() -> str:
    """The catalogue as Markdown, family by family in the order of the table."""
    rows = [
        "| model | family | layers | dim | parameters | hours | normalised | licence |",
        "|---|---|--:|--:|--:|--:|---|---|",
    ]
    return "\n".join([*rows, *map(row, CATALOG.values())]) + "\n"


def row(card: Card) -> str:
    config = card.config
    cells = [
        f"`{card.name}`",
        card.family,
        str(config.num_layers),
        str(config.dim),
        f"{card.parameters / 1e6:,.1f} M".replace(",", " "),
        f"{card.hours:,}".replace(",", " "),
        "yes" if config.normalize else "no",
        card.licence.partition(";")[0].partition(" (")[0],
    ]
    return f"| {' | '.join(cells)} |"


def written(page: str) -> str:
    """The page with the table as it should be."""
    return re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{table()}\n{END}", page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

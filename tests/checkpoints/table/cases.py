"""The cases of the table in docs/checkpoints.md. After a change: python -m tests.checkpoints.table.cases

writes the table anew. A case is added to the file of its group; a new group is a line of `GROUPS`.
"""

import sys
from pathlib import Path

from tests.checkpoints.table import (
    adapters,
    families,
    folders,
    heads,
    lora,
    omniasr,
    refused,
    toolkits,
    variants,
    wrappers,
)
from tests.checkpoints.table.case import Case

PAGE = Path(__file__).parents[3] / "docs" / "checkpoints.md"
BEGIN, END = "<!-- The table of checkpoints begins: python -m tests.checkpoints.table.cases -->", "<!-- It ends. -->"
COLUMNS = ("layout", "wrapper", "head", "loads", "states compared with", "not loaded")

GROUPS: dict[str, tuple[Case, ...]] = {
    "Folders of transformers": folders.CASES,
    "Files of other toolkits": toolkits.CASES,
    "omniASR": omniasr.CASES,
    "Variants of the families": variants.CASES,
    "Further families": families.CASES,
    "Adapters": adapters.CASES,
    "LoRA": lora.CASES,
    "Wrappers": wrappers.CASES,
    "Heads": heads.CASES,
    "Refused": refused.CASES,
}
CASES = [case for cases in GROUPS.values() for case in cases]


def table() -> str:
    """The whole table in Markdown, in parts by group."""
    parts = [BEGIN]
    for title, cases in GROUPS.items():
        parts += [f"**{title}**", "\n".join([_line(COLUMNS), _line(["---"] * len(COLUMNS)), *map(_row, cases)])]
    return "\n\n".join([*parts, END])


def _row(case: Case) -> str:
    loads = f"no: `{case.refused.__name__}`" if case.refused else "yes"
    return _line([case.layout, case.wrapper, ", ".join(case.heads), loads, case.parity, ", ".join(case.aside)])


def _line(cells) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def written(page: str) -> tuple[str, str, str]:
    """The page before the table, the table, and the page behind it."""
    before, begin, rest = page.partition(BEGIN)
    middle, end, after = rest.partition(END)
    return before, begin + middle + end, after


if __name__ == "__main__":
    before, _, after = written(PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(before + table() + after, encoding="utf-8")
    sys.stdout.write(f"{len(CASES)} cases\n")

"""Facts as they were measured, one JSON object a line, and the tables made of them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Fact = dict[str, Any]
OWN = ("row", "section", "took")  # of the machinery, not measured


class Facts:
    """A file to which facts are appended, each on the disk before the next is measured."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "facts.jsonl"

    def add(self, fact: Fact) -> None:
        """Append one fact."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(fact, default=str) + "\n")

    def read(self) -> list[Fact]:
        """Return all facts so far; a line that a kill cut short is left out."""
        facts = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                facts.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return facts


def write_tables(folder: Path) -> str:
    """Write tables.md, and gpu.json for docs/performance/, from the facts in a folder; return the former.

    The first line names the kernels that ran: without it no other line means anything.
    """
    facts = Facts(folder).read()
    failed = [fact for fact in facts if fact.get("passed") is False or "failed" in fact]
    of_machine = next((fact for fact in facts if fact["row"] == "machine"), {})
    serving = next((fact for fact in facts if fact["row"] == "serves"), {"serves": "unknown: that row left no fact"})
    sections: dict[str, list[Fact]] = {}
    for fact in facts:
        if "failed" not in fact and "left out" not in fact:
            sections.setdefault(fact["section"], []).append(_measured(fact))
    text = [
        f"Served by: {_words(_measured(serving))}",
        f"Machine: {_words(_measured(of_machine))}",
        f"{len(facts)} facts, {len(failed)} failed.",
        *(f"- failed: {fact['row']}: {_words(_measured(fact))}" for fact in failed),
    ]
    left_out = [fact["row"] for fact in facts if "left out" in fact]
    if left_out:
        text.append(f"Left out, as no time was left: {', '.join(left_out)}.")
    text += ["", *(table(title, rows) for title, rows in sections.items())]
    document = {"device": of_machine.get("device", "unknown"), "torch": of_machine.get("torch", "unknown"), **sections}
    (folder / "gpu.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    (folder / "tables.md").write_text("\n".join(text), encoding="utf-8")
    return "\n".join(text)


def table(title: str, rows: list[Fact]) -> str:
    """Return a table in Markdown; rows may have different columns."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [f"## {title}", "", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(_cell(row.get(name, '')) for name in columns)} |" for row in rows]
    return "\n".join([*lines, ""])


def _measured(fact: Fact) -> Fact:
    return {name: value for name, value in fact.items() if name not in OWN}


def _words(fact: Fact) -> str:
    return ", ".join(f"{name} {_cell(value)}" for name, value in fact.items())


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, Iterable) and not isinstance(value, str):
        return " ".join(map(str, value))
    return str(value).replace("\n", " ").replace("|", "/")

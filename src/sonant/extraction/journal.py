"""The journal of a bulk job: a record of finished results, from which a killed job is resumed."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sonant.data.files import atomic
from sonant.data.settings import check_same_settings, read_settings, write_settings
from sonant.extraction.names import as_json
from sonant.extraction.vector_files import sync

MAY_DIFFER = ("model", "revision")  # may differ between runs: names of the same weights


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a journal; remove an incomplete last one."""
    with path.open("a+b") as file:
        file.seek(0)
        data = file.read()
        file.truncate(data.rfind(b"\n") + 1)
    return read_lines(path)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read a JSON Lines file; a missing file has no lines."""
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a JSON Lines file atomically."""
    with atomic(path) as draft, draft.open("w", encoding="utf-8") as file:
        file.writelines(map(_line, rows))


def append_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append rows to a JSON Lines file in one write, flushed to the disk."""
    if rows:
        with path.open("a", encoding="utf-8") as file:
            file.write("".join(map(_line, rows)))
            sync(file)


def failure(facts: Mapping[str, Any], error: Exception) -> dict[str, Any]:
    """Return the line of an unusable recording; `facts`: those of `Entry`."""
    return {**facts, "error": type(error).__name__, "message": str(error)}


def write_or_check_settings(path: Path, settings: Mapping[str, Any], *, source: str | None, has_results: bool) -> bool:
    """Write a run's settings, or check that they equal those of the earlier run.

    Args:
        path: the file of settings.
        source: source of this run's recordings, noted with the settings; None: unknown.
        has_results: whether there are results of earlier settings.

    Returns:
        Whether all results come from this source.

    Raises:
        ConfigurationError: the output holds results of other settings; the message lists the differences.
    """
    if not has_results:
        write_settings(path, {**settings, "sources": [source]})
        return source is not None
    before = read_settings(path)
    sources = before.pop("sources", [None])  # older versions did not note them
    check_same_settings(path, before, settings, may_differ=MAY_DIFFER)
    if source not in sources:
        sources.append(source)
        write_settings(path, {**before, "sources": sources})
    return source is not None and sources == [source]


def _line(row: Mapping[str, Any]) -> str:
    return as_json(row) + "\n"

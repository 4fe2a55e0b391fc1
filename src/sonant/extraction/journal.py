"""The journal of a bulk job: finished results survive a kill, and are never computed again."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sonant.data.files import atomic
from sonant.data.settings import check_settled, read_settings, write_settings
from sonant.extraction.formats import sync
from sonant.extraction.names import as_json, key_of


class Journal:
    """Finished recordings, one JSON line each, appended batch by batch.

    Attributes:
        lines: all lines, also those that a later one replaces.
        rows: the last line of each recording, by its key.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = _read_whole_lines(path)
        self.rows = {key_of(row): row for row in self.lines}
        self._file = path.open("a", encoding="utf-8")

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Record recordings as finished, all of them or none: in one write, flushed through to the disk."""
        if not rows:
            return
        self._file.write("".join(_line(row) for row in rows))
        sync(self._file)
        self.lines += map(dict, rows)
        self.rows.update({key_of(row): dict(row) for row in rows})

    def close(self) -> None:
        self._file.close()


def _read_whole_lines(path: Path) -> list[dict[str, Any]]:
    """Read the lines of a journal, and remove an incomplete last one that a kill left."""
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return [json.loads(line) for line in whole.splitlines()]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read a JSON Lines file; a missing one has no lines."""
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a JSON Lines file atomically."""
    with atomic(path) as draft:
        draft.write_text("".join(_line(row) for row in rows), encoding="utf-8")


def failure(facts: Mapping[str, Any], error: Exception) -> dict[str, Any]:
    """Return the line of a recording that could not be used; it begins with `Entry.facts`."""
    return {**facts, "error": type(error).__name__, "message": str(error)}


def write_failures(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path | None:
    """List the recordings that could not be used; if there are none, remove an earlier list and return None."""
    if not rows:
        path.unlink(missing_ok=True)
        return None
    write_lines(path, rows)
    return path


def settle(path: Path, settings: Mapping[str, Any], *, source: str | None, bound: bool, free: Collection[str]) -> bool:
    """Write a run's settings, or make sure that they equal those of the earlier run.

    Args:
        path: of the settings.
        settings: of this run.
        source: of this run's recordings, noted beside the settings; None: unknown.
        bound: whether there are results that the settings must fit.
        free: settings that may differ.

    Returns:
        Whether all results come from this source.

    Raises:
        ConfigurationError: the output holds the results of other settings; it lists what differs.
    """
    if not bound:
        write_settings(path, {**settings, "sources": [source]})
        return source is not None
    before = read_settings(path)
    sources = before.pop("sources", [None])  # older versions did not note them
    check_settled(path, before, settings, free=free)
    if source not in sources:
        sources.append(source)
        write_settings(path, {**before, "sources": sources})
    return source is not None and sources == [source]


def _line(row: Mapping[str, Any]) -> str:
    return as_json(row) + "\n"

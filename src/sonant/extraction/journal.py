"""The memory of a bulk job: what is finished survives a kill, and is never computed again."""

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
        lines: all that there are, those among them that a later one replaces.
        rows: the last line of each recording, by its key.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = _read_whole_lines(path)
        self.rows = {key_of(row): row for row in self.lines}
        self._file = path.open("a", encoding="utf-8")

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Record recordings as finished, all of them or none: one write, pushed through to the disk."""
        if not rows:
            return
        self._file.write("".join(_line(row) for row in rows))
        sync(self._file)
        self.lines += map(dict, rows)
        self.rows.update({key_of(row): dict(row) for row in rows})

    def close(self) -> None:
        self._file.close()


def _read_whole_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal; one that a kill cut off is taken away."""
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return [json.loads(line) for line in whole.splitlines()]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """A JSON Lines file; none is empty."""
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a JSON Lines file at once."""
    with atomic(path) as draft:
        draft.write_text("".join(_line(row) for row in rows), encoding="utf-8")


def failure(facts: Mapping[str, Any], error: Exception) -> dict[str, Any]:
    """The line of a recording that could not be used, after what such a line begins with (`Entry.facts`)."""
    return {**facts, "error": type(error).__name__, "message": str(error)}


def write_failures(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path | None:
    """List what could not be used; without any, an earlier list is removed and None returned."""
    if not rows:
        path.unlink(missing_ok=True)
        return None
    write_lines(path, rows)
    return path


def settle(path: Path, settings: Mapping[str, Any], *, source: str | None, bound: bool, free: Collection[str]) -> bool:
    """Write a run's settings, or make sure that they are those of the run that is there.

    Args:
        path: of the settings.
        settings: of this run.
        source: that the recordings of this run come from, noted beside the settings; None: nobody knows.
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

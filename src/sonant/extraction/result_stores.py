"""Storage of a job's results during the run, and their final files."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path, PurePath
from typing import Any, Protocol

from sonant.data.files import atomic
from sonant.errors import ConfigurationError, some_of
from sonant.extraction.destination import Destination
from sonant.extraction.engine import Outcome
from sonant.extraction.inputs import Entry
from sonant.extraction.names import output_names
from sonant.extraction.spool import Spool

EXAMPLES = 3  # of files in a message
Row = dict[str, Any]  # a line of the journal or index
Result = tuple[Entry, Outcome]

# Files of the job itself.
RESERVED = ("settings.json", "index.jsonl", "errors.jsonl", "journal.jsonl")


@dataclass(frozen=True)
class JobState:
    """State of a job at its start.

    Attributes:
        place: destination of the results.
        work: folder of the job's temporary files.
        spool: a temporary file for results whose final file is written at the end.
        entries: the recordings.
        lines: all lines of the journal, superseded ones included.
        kept: the last line of each recording with a valid result, by key.
        is_new: whether no run has begun it before.
    """

    place: Destination[Any]
    work: Path
    spool: Path
    entries: Sequence[Entry]
    lines: Sequence[Row]
    kept: Mapping[str, Row]
    is_new: bool

    @property
    def output(self) -> Path:
        """The file or folder of results that are not printed."""
        assert self.place.path is not None
        return self.place.path


class ResultStore(Protocol):
    """Storage of results, during the run and at its end."""

    def add(self, results: Sequence[Result]) -> list[Row]:
        """Write results to the disk; return the fields of each one's line that locate it."""

    def finish(self, rows: Sequence[Row]) -> tuple[list[Row], int]:
        """Write the final files of these results, in this order; return the index lines and the size in bytes."""

    def close(self) -> None: ...


class FileStore:
    """One or several files per recording, in folders that mirror those of the input.

    Args:
        opened: the job.
        save: writes a result to its files.
        ending: of the files, without the dot.
        folders: one for each file of a recording; "" is the output folder. The line's field of the first file is
            "file", those of others are named like their folders.

    Raises ConfigurationError: in the folder of a new job there are files with names of results, which would be lost.
    """

    def __init__(
        self,
        opened: JobState,
        save: Callable[[Sequence[Path], Result], None],
        *,
        ending: str,
        folders: Sequence[str] = ("",),
    ) -> None:
        self._save, self._folders = save, folders
        self._fields = ["file", *folders[1:]]
        if opened.place.is_folder:
            self._root = opened.work
            self._names = _file_names(opened, ending, folders[0])
            if opened.is_new:
                self._require_free(opened.output)
            self._sweep()
        else:
            self._root, self._folders = opened.output.parent, [""]
            self._names = {entry.key: opened.output.name for entry in opened.entries}
        self._stale = self._files(opened.lines) - self._files(opened.kept.values())

    def add(self, results: Sequence[Result]) -> list[Row]:
        rows = []
        for entry, outcome in results:
            files = [_inside(folder, self._names[entry.key]) for folder in self._folders]
            for path in (paths := [self._root / file for file in files]):
                path.parent.mkdir(parents=True, exist_ok=True)
            self._save(paths, (entry, outcome))
            rows.append(dict(zip(self._fields, files, strict=False)))
        return rows

    def finish(self, rows: Sequence[Row]) -> tuple[list[Row], int]:
        """Remove files of invalid results."""
        used = self._files(rows)
        for file in self._stale - used:
            (self._root / file).unlink(missing_ok=True)
            for folder in list(PurePath(file).parents)[:-1]:
                with suppress(OSError):  # not empty
                    (self._root / folder).rmdir()
        return list(rows), sum((self._root / file).stat().st_size for file in used if (self._root / file).exists())

    def close(self) -> None:
        pass

    def _require_free(self, output: Path) -> None:
        files = [_inside(folder, name) for folder, name in product(self._folders, self._names.values())]
        if there := [file for file in files if (self._root / file).exists()]:
            raise ConfigurationError(
                f"{str(output)!r} has files that results would replace: {some_of(there, EXAMPLES)}. Give another "
                "output, or move them."
            )

    def _sweep(self) -> None:
        """Remove incomplete files of a killed run, known by the names of results."""
        for folder, name in product(self._folders, self._names.values()):
            (self._root / folder / f"{name}.part").unlink(missing_ok=True)

    def _files(self, rows: Iterable[Row]) -> set[str]:
        return {row[field] for row in rows for field in self._fields if field in row}


class TextStore:
    """One text of all recordings; `render` returns the text of a result."""

    def __init__(self, opened: JobState, render: Callable[[Result], str]) -> None:
        self._path, self._render = opened.place.path, render
        last = opened.lines[-1] if opened.lines else {"start": 0, "bytes": 0}
        self._spool = Spool(opened.spool, last["start"] + last["bytes"])

    def add(self, results: Sequence[Result]) -> list[Row]:
        texts = [self._render(result).encode() for result in results]
        starts = self._spool.append(texts)
        return [{"start": start, "bytes": len(text)} for start, text in zip(starts, texts, strict=True)]

    def text(self, row: Row) -> bytes:
        """Return the text of a result."""
        return self._spool.read(row["start"], row["bytes"])

    def finish(self, rows: Sequence[Row]) -> tuple[list[Row], int]:
        if self._path is not None:  # else results were printed
            with atomic(self._path) as draft, draft.open("wb") as file:
                file.writelines(map(self.text, rows))
        return list(rows), sum(row["bytes"] for row in rows)

    def close(self) -> None:
        self._spool.close()


def usual_names(entries: Sequence[Entry], ending: str, folder: str) -> list[str]:
    """Return a file name for each recording, in a folder of the output, or for "" in the output folder itself."""
    return output_names([entry.file_name for entry in entries], ending, taken=[] if folder else RESERVED)


def _file_names(opened: JobState, ending: str, folder: str) -> dict[str, str]:
    """Return a file name for each recording, by key, that no kept result of another recording has."""
    keys = [entry.key for entry in opened.entries]
    usual = dict(zip(keys, usual_names(opened.entries, ending, folder), strict=True))
    taken = [
        file
        for key, row in opened.kept.items()
        if (file := row["file"].removeprefix(f"{folder}/" if folder else "")) != usual.get(key)
    ]
    if not taken:
        return usual
    names, reserved = [entry.file_name for entry in opened.entries], () if folder else RESERVED
    return dict(zip(keys, output_names(names, ending, taken=[*reserved, *taken]), strict=True))


def _inside(folder: str, file: str) -> str:
    return f"{folder}/{file}" if folder else file

"""Where the results of a job lie while it runs, and the final files that are made of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Protocol

from sonant.data.files import atomic
from sonant.extraction.destination import Destination
from sonant.extraction.engine import Outcome
from sonant.extraction.inputs import Entry
from sonant.extraction.names import output_names
from sonant.extraction.spool import Spool

Row = dict[str, Any]  # a line of the journal or of the index
Result = tuple[Entry, Outcome]

# Files of a job itself, which no result may be called.
RESERVED = ("settings.json", "index.jsonl", "errors.jsonl", "journal.jsonl")


@dataclass(frozen=True)
class JobState:
    """The state of a job when it begins or is resumed.

    Attributes:
        place: where the results go.
        work: the folder of what is there only while the job runs.
        spool: a file in it, for results whose final file is written at the end.
        entries: the recordings.
        lines: the lines of the journal, also those that a later one replaces.
        kept: the last line of each recording whose result is still valid, by its key.
    """

    place: Destination[Any]
    work: Path
    spool: Path
    entries: Sequence[Entry]
    lines: Sequence[Row]
    kept: Mapping[str, Row]

    @property
    def output(self) -> Path:
        """The file or folder of the results, which are not printed."""
        assert self.place.path is not None
        return self.place.path


class ResultStore(Protocol):
    """The place of results, until and after all are there."""

    def add(self, results: Sequence[Result]) -> list[Row]:
        """Write results through to the disk, and return for each what its line says about where it is."""

    def finish(self, rows: Sequence[Row]) -> tuple[list[Row], int]:
        """Write the final files of these results, in this order; return their lines in the index, and the bytes."""

    def close(self) -> None: ...


class FileStore:
    """A file for each recording, or several, in folders that mirror those of the input.

    Args:
        opened: the job.
        save: writes a result to its files.
        ending: of the files, without the point.
        folders: of a recording's files, "" for the output folder itself. Lines name the file of the first as "file",
            those of others by their folder.
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
        else:
            self._root, self._folders = opened.output.parent, [""]
            self._names = {entry.key: opened.output.name for entry in opened.entries}
        if opened.place.is_folder:
            self._sweep()
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
        """Remove the files of results that are no longer valid."""
        used = self._files(rows)
        for file in self._stale - used:
            (self._root / file).unlink(missing_ok=True)
            for folder in list(PurePath(file).parents)[:-1]:
                with suppress(OSError):  # it holds others
                    (self._root / folder).rmdir()
        return list(rows), sum((self._root / file).stat().st_size for file in used if (self._root / file).exists())

    def close(self) -> None:
        pass

    def _sweep(self) -> None:
        """Remove partly written files that a killed run left; where the folder may hold others' too, only by name."""
        for folder in self._folders:
            drafts = (f"{name}.part" for name in self._names.values())
            for draft in (self._root / folder).rglob("*.part") if folder else map(self._root.joinpath, drafts):
                draft.unlink(missing_ok=True)

    def _files(self, rows: Iterable[Row]) -> set[str]:
        return {row[field] for row in rows for field in self._fields if field in row}


class TextStore:
    """One text of all recordings.

    Args:
        opened: the job.
        render: makes the text of a result.
    """

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
        if self._path is not None:  # else they were printed
            with atomic(self._path) as draft, draft.open("wb") as file:
                file.writelines(map(self.text, rows))
        return list(rows), sum(row["bytes"] for row in rows)

    def close(self) -> None:
        self._spool.close()


def _file_names(opened: JobState, ending: str, folder: str) -> dict[str, str]:
    """Return a file name for each recording, by its key, that is not taken by another's kept result."""
    keys = [entry.key for entry in opened.entries]
    names = [entry.file_name for entry in opened.entries]
    reserved = [] if folder else list(RESERVED)
    usual = dict(zip(keys, output_names(names, ending, taken=reserved), strict=True))
    taken = [
        file
        for key, row in opened.kept.items()
        if (file := row["file"].removeprefix(f"{folder}/" if folder else "")) != usual.get(key)
    ]
    return dict(zip(keys, output_names(names, ending, taken=[*reserved, *taken]), strict=True)) if taken else usual


def _inside(folder: str, file: str) -> str:
    return f"{folder}/{file}" if folder else file

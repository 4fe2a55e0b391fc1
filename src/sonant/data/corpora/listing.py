"""Rows of a corpus under construction, and what is wrong with its files."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sonant.audio import Segment
from sonant.data.entries import ManifestEntry
from sonant.errors import ManifestError, some_of

EXAMPLES = 5  # of each problem


@dataclass(frozen=True)
class CorpusProblem:
    """One kind of problem of the files of a corpus.

    Attributes:
        message: description, with the cure.
        names: of the files, or of the rows of lists.
        severity: files and rows with an error are not in the sets.
    """

    message: str
    names: tuple[str, ...]
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{self.severity}: {len(self.names)} {self.message}: {some_of(self.names, EXAMPLES)}"


class CorpusTrial(NamedTuple):
    """Two recordings of a corpus, and whether one speaker is in both, or a query is in a document."""

    is_target: bool
    first: Path
    second: Path

    def __str__(self) -> str:
        """Return a line of a file of trials."""
        return f"{int(self.is_target)}\t{self.first}\t{self.second}\n"


@dataclass(frozen=True, kw_only=True)
class CorpusSets:
    """Rows of a corpus.

    Attributes:
        sets: by name: "train", "dev" and "test", and others that a task needs.
        problems: errors first.
        trials: pairs to compare, by the set that they belong to.
        files: others that a task needs, by its setting, such as a lexicon.
    """

    sets: Mapping[str, list[ManifestEntry]]
    problems: tuple[CorpusProblem, ...] = ()
    trials: Mapping[str, list[CorpusTrial]] | None = None
    files: Mapping[str, Path] | None = None


class Listing:
    """Rows by set, and the names of files that are missing, have no label, or are of no use.

    Args:
        folder: of the corpus, to which names in messages are relative.
        parts: names of the sets.
    """

    def __init__(self, folder: Path, parts: Iterable[str] = ("train", "dev", "test")) -> None:
        self.folder = folder
        self.sets: dict[str, list[ManifestEntry]] = {part: [] for part in parts}
        self._found: dict[tuple[str, str], list[str]] = {}

    def add(self, part: str, path: Path, segment: Segment | None = None, /, **fields: Any) -> None:
        """Add a row, unless its file is missing."""
        if not path.is_file():
            self.problem("recordings that a list names are missing", self.name(path))
        else:
            self.sets[part].append(ManifestEntry(path, fields=fields, segment=segment))

    def problem(self, message: str, name: str, severity: Literal["error", "warning"] = "error") -> None:
        """Add a name to a kind of problem."""
        self._found.setdefault((severity, message), []).append(name)

    def unlabeled(self, found: Iterable[Path]) -> None:
        """Warn of recordings of the corpus that are in no set because nothing labels them."""
        for path in found:
            self.problem("recordings have no label in any list, and are left out", self.name(path), "warning")

    def name(self, path: Path) -> str:
        """Return a path relative to the folder."""
        return str(path.relative_to(self.folder)) if path.is_relative_to(self.folder) else str(path)

    def finish(self, **more: Any) -> CorpusSets:
        """Return the sets. Raises ManifestError if one is empty."""
        problems = tuple(
            CorpusProblem(message, tuple(names), severity)  # type: ignore[arg-type]  # one of the two
            for (severity, message), names in sorted(self._found.items())
        )
        if empty := [part for part, rows in self.sets.items() if not rows]:
            said = "".join(f"\n{problem}" for problem in problems)
            raise ManifestError(f"{self.folder} has no recordings for {' and '.join(empty)}.{said}")
        return CorpusSets(sets=self.sets, problems=problems, **more)


def existing(folder: Path, *names: str, layout: str) -> list[Path]:
    """Return files and folders of a corpus. Raises ManifestError if any is missing, with the expected layout."""
    paths = [folder / name for name in names]
    if missing := [name for name, path in zip(names, paths, strict=True) if not path.exists()]:
        raise ManifestError(f"{folder} has no {' and no '.join(missing)}. Expected {layout}.")
    return paths


def files(folder: Path, pattern: str) -> list[Path]:
    """Return the files and folders of a pattern in order, without hidden ones, such as the `._1.wav` of macOS."""
    found = sorted(folder.glob(pattern))
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def lines_of(path: Path) -> list[list[str]]:
    """Return the words of each line of a list that is not empty. Raises ManifestError."""
    return [words for line in text_of(path).splitlines() if (words := line.split())]


def rows_of(
    path: Path, columns: Iterable[str], *, layout: str, **dialect: Any
) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Yield the line and the fields by column of each row of a table; `dialect` as of `csv.DictReader`.

    Raises ManifestError: it lacks one of these columns, or is not UTF-8.
    """
    rows = csv.DictReader(StringIO(text_of(path), newline=""), **dialect)
    if missing := sorted(set(columns).difference(rows.fieldnames or ())):
        raise ManifestError(f"{path} has no column {', '.join(missing)}. Expected {layout}.")
    yield from enumerate(rows, 2)


def text_of(path: Path) -> str:
    """Return the text of a list. Raises ManifestError if it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path} is not UTF-8 ({error}).") from error

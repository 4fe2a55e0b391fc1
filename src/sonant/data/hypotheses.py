"""Hypotheses: texts that a recognizer wrote, in files of several formats, by the recordings of a manifest."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sonant.data.entries import PATHS, ManifestEntry, is_unicode
from sonant.data.name_index import NameIndex
from sonant.data.rows import ManifestRow, lines_of, read_json_lines, read_table
from sonant.errors import ManifestError

TEXTS = ("pred_text", "text")  # NeMo writes the reference as `text` beside `pred_text`
NAMES = ("id", *PATHS)
FORMATS = (
    ".jsonl (an object a line, with id or path, and text), .csv with such columns, .tsv or .txt (a name, a tab, and "
    "the text), Kaldi's `text` or .txt (a name, a space, and the text), and .trn of sclite (the text, and an id in "
    "brackets)"
)
SAME_SECONDS = 0.001  # between the starts of segments


@dataclass(frozen=True)
class GivenText:
    """One text.

    Attributes:
        where: file and line, for messages.
        name: id or path of its recording.
        offset: start of its segment in seconds; None: not given.
        channel: number of its channel; None: not given.
    """

    where: str
    name: str
    text: str
    offset: float | None = None
    channel: int | None = None

    def is_of(self, entry: ManifestEntry) -> bool:
        """Return False for another segment or channel of the recording."""
        start = 0.0 if entry.segment is None else entry.segment.start
        right_channel = self.channel is None or entry.channel in (None, self.channel)
        return right_channel and (self.offset is None or abs(self.offset - start) < SAME_SECONDS)


def is_hypotheses(path: str | Path) -> bool:
    """Return True for a file name of hypotheses, which no model has."""
    return _kind(Path(path)) in READERS


def read_hypotheses(path: str | Path) -> list[GivenText]:
    """Read a file of hypotheses, in one of `FORMATS`.

    Raises:
        ManifestError: the file is missing, empty or of another format, or a line is invalid.
    """
    path = Path(path)
    if not path.is_file():
        raise ManifestError(f"There are no hypotheses at {path}. Expected a file: {FORMATS}.")
    if not is_hypotheses(path):
        raise ManifestError(f"{path} holds no hypotheses, by its name. Expected {FORMATS}.")
    found = list(READERS[_kind(path)](path))
    if not found:
        raise ManifestError(f"{path} holds no hypotheses: it is empty.")
    garbled = next((each for each in found if not is_unicode(each.text)), None)
    if garbled is not None:
        raise ManifestError(f"{garbled.where}: {garbled.text[:80]!r} is not UTF-8. Save the file as UTF-8.")
    return found


def match_hypotheses(entries: Sequence[ManifestEntry], hypotheses: Sequence[GivenText]) -> list[GivenText | None]:
    """Return the hypothesis of each entry of a manifest, by its `id` or path; None where there is none.

    Raises:
        ManifestError: two hypotheses fit an entry, or one fits two entries, or none fits any.
    """
    index = NameIndex([hypothesis.name for hypothesis in hypotheses])
    matched: list[GivenText | None] = []
    owners: dict[str, ManifestEntry] = {}
    for entry in entries:
        identity = entry.fields.get("id")
        fits = [hypotheses[i] for i in index.find(entry.path, None if identity is None else str(identity))]
        fits = [each for each in fits if each.is_of(entry)]
        if len(fits) > 1:
            raise ManifestError(
                f"{fits[0].where} and {fits[1].where} both have a text for {entry.name}. Keep one, or write more of "
                "the path."
            )
        matched += fits or [None]
        if fits and (other := owners.setdefault(fits[0].where, entry)) is not entry:
            raise ManifestError(
                f"{fits[0].where}: {fits[0].name!r} could be {other.name} or {entry.name}. Write more of the path, or "
                "the `offset` and `channel` of a segment, or give the rows of the manifest an `id`."
            )
    if not any(matched):
        raise ManifestError(
            f"None of the {len(entries)} recordings has a text among the {len(hypotheses)}, whose names are such as "
            f"{hypotheses[0].name!r}; the recordings are such as {entries[0].name!r}. Names are the path of a "
            "recording, or the end of it, with or without the ending, or the `id` of its row."
        )
    return matched


def _of_rows(rows: Iterator[ManifestRow]) -> Iterator[GivenText]:
    for row in rows:
        name, text = _first(row, NAMES, "the recording"), _first(row, TEXTS, "the text")
        yield GivenText(row.where, name, text, _number(row, "offset", "start"), _number(row, "channel"))


def _first(row: ManifestRow, names: Sequence[str], what: str) -> str:
    value = next((row.fields[name] for name in names if row.fields.get(name) is not None), None)
    if not isinstance(value, str):
        raise ManifestError(
            f"{row.where}: expected {what} as {' or '.join(map(repr, names))}, got {dict(row.fields)!r:.120}."
        )
    return value


def _number(row: ManifestRow, *names: str) -> Any:
    value = next((row.fields[name] for name in names if row.fields.get(name) not in (None, "")), None)
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        raise ManifestError(f"{row.where}: {names[0]!r} is {value!r}; expected a number.") from None


def _read_lines(path: Path) -> Iterator[GivenText]:
    """Read a name and a text from each line, with a tab between them in all lines, or blanks."""
    lines = list(lines_of(path))
    if lines and not {*NAMES}.isdisjoint(columns := lines[0][1].split("\t")) and not {*TEXTS}.isdisjoint(columns):
        for where, line in lines[1:]:
            cells = line.split("\t")
            if len(cells) != len(columns):
                raise ManifestError(f"{where}: {len(cells)} values for {len(columns)} columns.")
            yield from _of_rows(iter([ManifestRow(where, dict(zip(columns, cells, strict=True)))]))
        return
    tabs = all("\t" in line for _, line in lines)
    for where, line in lines:
        name, *text = line.split("\t", 1) if tabs else line.split(maxsplit=1)
        yield GivenText(where, name, text[0] if text else "")


def _read_trn(path: Path) -> Iterator[GivenText]:
    for where, line in lines_of(path):
        if line.startswith(";;"):  # a comment
            continue
        found = re.fullmatch(r"(.*?)\s*\(([^()\s]+)\)\s*", line)
        if found is None:
            raise ManifestError(f"{where}: expected a text, and an id in round brackets at the end, got {line[:80]!r}.")
        yield GivenText(where, found[2], found[1])


READERS: Mapping[str, Callable[[Path], Iterator[GivenText]]] = {
    ".jsonl": lambda path: _of_rows(read_json_lines(path)),
    ".ndjson": lambda path: _of_rows(read_json_lines(path)),
    ".json": lambda path: _of_rows(read_json_lines(path)),
    ".csv": lambda path: _of_rows(read_table(path)),
    ".tsv": _read_lines,
    ".txt": _read_lines,
    "text": _read_lines,
    ".trn": _read_trn,
}


def _kind(path: Path) -> str:
    return path.name if path.name == "text" else path.suffix.lower()

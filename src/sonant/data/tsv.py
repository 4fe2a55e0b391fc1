"""Tab-separated values, with column names in the first line, or in fairseq's format."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from sonant.data.rows import ManifestRow, lines_of, rows_of, text_of
from sonant.errors import ManifestError

# Fields of fairseq's label files by their ending; of two with the same field the later one counts.
BESIDE = {".phn": "phones", ".ltr": "text", ".wrd": "text"}
_FAIRSEQ_ROW = re.compile(r"(?P<path>[^\t]+)\t(?P<num_samples>\d+)")


def read_tsv(path: Path) -> Iterator[ManifestRow]:
    """Read a list in either format, without quoting.

    fairseq's has a root folder in the first line, and a path relative to it and a number of samples in the others.
    Files of labels beside it, of the same name and a line for each recording, give further fields: `text` from .wrd
    (words), or else .ltr (letters, with | between words), and `phones` from .phn.
    """
    start = [line for _, (_, line) in zip(range(2), lines_of(path), strict=False)]
    if len(start) == 2 and "\t" not in start[0] and _FAIRSEQ_ROW.fullmatch(start[1]):
        yield from _read_fairseq(path)
        return
    with text_of(path) as text:
        yield from rows_of(csv.reader(text, delimiter="\t", quoting=csv.QUOTE_NONE), path)


def _read_fairseq(path: Path) -> Iterator[ManifestRow]:
    """Read fairseq's format. It has no sampling rate, so `duration` is not set."""
    lines = lines_of(path)
    _, root = next(lines)
    rows = []
    for where, line in lines:
        found = _FAIRSEQ_ROW.fullmatch(line)
        if found is None:
            raise ManifestError(
                f"{where}: expected a path, a tab and a number of samples, as in fairseq's lists, got {line[:80]!r}."
            )
        rows.append((where, {"path": str(Path(root, found["path"])), "num_samples": int(found["num_samples"])}))
    labels: dict[str, list[str]] = {}
    for ending, name in BESIDE.items():
        if (beside := path.with_suffix(ending)).is_file():
            labels[name] = _labels(beside, path, len(rows))
    for number, (where, fields) in enumerate(rows):
        yield ManifestRow(where, fields | {name: values[number] for name, values in labels.items()})


def _labels(path: Path, listed: Path, count: int) -> list[str]:
    """Read a line for each recording of a list."""
    with text_of(path) as text:
        lines = [_joined(line) if path.suffix == ".ltr" else line.strip() for line in text]
    if len(lines) != count:
        raise ManifestError(
            f"{path} has {len(lines)} lines, and {listed} lists {count} recordings; expected a line for each. Are they "
            "of the same data?"
        )
    return lines


def _joined(letters: str) -> str:
    """Join fairseq's letters, such as `H I | Y O U |`, to words."""
    return " ".join("".join(letters.split()).replace("|", " ").split())

"""Tab-separated values, with column names in the first line, or in fairseq's format."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from sonant.data.rows import ManifestRow, lines_of, rows_of, text_of
from sonant.errors import ManifestError

_FAIRSEQ_ROW = re.compile(r"(?P<path>[^\t]+)\t(?P<num_samples>\d+)")


def read_tsv(path: Path) -> Iterator[ManifestRow]:
    """Read a list in either format, without quoting.

    fairseq's has a root folder in the first line, and a path relative to it and a number of samples in the others.
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
    for where, line in lines:
        found = _FAIRSEQ_ROW.fullmatch(line)
        if found is None:
            raise ManifestError(
                f"{where}: expected a path, a tab and a number of samples, as in fairseq's lists, got {line[:80]!r}."
            )
        yield ManifestRow(where, {"path": str(Path(root, found["path"])), "num_samples": int(found["num_samples"])})

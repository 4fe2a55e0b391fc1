"""Rows of a manifest in JSON Lines, separated values, or Parquet."""

import codecs
import csv
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from sonant.errors import ManifestError, MissingExtra

PARQUET_ROWS = 256  # read at a time, since some tables contain the audio


@dataclass(frozen=True)
class ManifestRow:
    """One row.

    Attributes:
        where: file and line, for messages.
        fields: values by column name.
    """

    where: str
    fields: Mapping[str, Any]


@contextmanager
def text_of(path: Path) -> Iterator[TextIO]:
    """Open a UTF-8 file, with or without a byte order mark; invalid bytes become surrogates, as in file names."""
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ManifestError(f"{path} is UTF-16. Save it as UTF-8; a spreadsheet calls it CSV UTF-8.")
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        yield text


def lines_of(path: Path) -> Iterator[tuple[str, str]]:
    """Yield `path:number` and text of each line that is not empty."""
    with text_of(path) as text:
        for number, line in enumerate(text, start=1):
            if line.strip():
                yield f"{path}:{number}", line.rstrip("\r\n")


def read_json_lines(path: Path) -> Iterator[ManifestRow]:
    """Read a JSON object from each line."""
    for where, line in lines_of(path):
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ManifestError(
                f'{where}: expected a JSON object with a "path", got {line[:80]!r} ({error}).'
            ) from error
        if not isinstance(fields, dict):
            kind = "a list. Write its objects one a line" if isinstance(fields, list) else f"{line[:80]!r}"
            raise ManifestError(f'{where}: expected a JSON object with a "path", got {kind}.')
        yield ManifestRow(where, fields)


def read_table(path: Path) -> Iterator[ManifestRow]:
    """Read comma-separated values; the first line has the names of the columns."""
    with text_of(path) as text:
        yield from rows_of(csv.reader(text, strict=True), path)


def rows_of(reader: Any, path: Path) -> Iterator[ManifestRow]:
    """Read the rows of a `csv.reader`, the first of which has the names of the columns."""
    names: list[str] | None = None
    try:
        for cells in reader:
            where = f"{path}:{reader.line_num}"
            if not any(cells):
                continue
            if names is None:
                names = _columns(cells, where)
            elif len(cells) != len(names):
                raise ManifestError(
                    f"{where}: {len(cells)} values for {len(names)} columns. Is there a separator within a value? "
                    "Then the value must stand in double quotes, which a .tsv does not know."
                )
            else:
                yield ManifestRow(where, dict(zip(names, cells, strict=True)))
    except csv.Error as error:
        raise ManifestError(f"{path}:{reader.line_num}: {error}. Is a double quote not closed?") from error


def _columns(cells: list[str], where: str) -> list[str]:
    double = next((name for name in cells if cells.count(name) > 1), None)
    if double is not None:
        raise ManifestError(f"{where}: two columns are called {double!r}. Rename one of them.")
    separator = next((sign for sign in ";\t," if len(cells) == 1 and sign in cells[0]), None)
    if separator is not None:
        raise ManifestError(
            f"{where}: the columns seem to be separated by {separator!r}. Expected commas in a .csv, tabs in a .tsv."
        )
    return cells


def read_parquet(path: Path) -> Iterator[ManifestRow]:
    """Read a Parquet table in parts."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra("pyarrow", extra="table", purpose="A Parquet manifest") from error
    number = 0
    try:
        with parquet.ParquetFile(path) as table:
            for batch in table.iter_batches(batch_size=PARQUET_ROWS):
                for fields in batch.to_pylist():
                    number += 1
                    yield ManifestRow(f"{path}, row {number}", fields)
    except pa.ArrowException as error:
        raise ManifestError(f"{path} is not whole Parquet: {error}. Write or copy it again.") from error

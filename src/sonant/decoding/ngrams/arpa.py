"""ARPA files of n-gram models: read in blocks of lines by numpy, plain or compressed by gzip; written."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from sonant.data.files import atomic
from sonant.decoding.ngrams.arpa_fields import LineFields, WordTable, parse_numbers
from sonant.decoding.ngrams.tables import LN10, Ngrams, NgramTable
from sonant.errors import CorruptedCheckpoint, UnknownCheckpoint

BLOCK_BYTES = 1 << 21
HEADER_BYTES = 1 << 20  # within which \data\ is expected
TOLERANCE = 1e-3  # of a probability above one: log10
NEWLINE = b"\n"
_COUNT = re.compile(rb"ngram\s+(\d+)\s*=\s*(\d+)\s*")


def read_arpa(path: str | Path, *, block_bytes: int = BLOCK_BYTES) -> Ngrams:
    """Read an ARPA file.

    The memory needed beyond the n-grams is a few blocks. Fields may be separated by spaces or tabs; missing back-off
    weights are 0, and log-probabilities that are greater than 0 by rounding are 0. Words are UTF-8, with their case.

    Raises:
        UnknownCheckpoint: no ARPA file.
        CorruptedCheckpoint: it is cut short, or a line or a number of n-grams is wrong.
    """
    path = Path(path)
    with path.open("rb") as raw:
        compressed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        file = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if compressed else raw
        try:
            return _Reader(path, file, block_bytes).ngrams()
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise CorruptedCheckpoint(
                f"{path} cannot be decompressed: {error}. It was probably cut short; fetch it again."
            ) from error


class _Reader:
    """The state of reading a file: lines that were read but not used, and their numbers."""

    def __init__(self, path: Path, file: IO[bytes], block_bytes: int) -> None:
        self._path, self._file, self._block_bytes = path, file, block_bytes
        self._rest = b""
        self._line = 0  # lines before `_rest`
        self._ended = False

    def ngrams(self) -> Ngrams:
        counts = self._header()
        words: list[str] = []
        tables: list[NgramTable] = []
        table = WordTable(np.zeros(0, np.uint64))
        for order, count in enumerate(counts, 1):
            parts: list[tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]] = []
            for block in self._section(order):
                fields = LineFields.of(block)
                if order == 1:
                    words += self._words(fields)
                    parts.append((self._hashes(fields, 1)[:, 0], *self._values(fields, 1)))
                else:
                    parts.append((self._numbers(fields, order, table), *self._values(fields, order)))
            columns = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else []
            found = len(columns[0]) if columns else 0
            if found != count:
                raise CorruptedCheckpoint(
                    f"{self._path} has {found:,} {order}-grams, but its header promises {count:,}. It was cut short or "
                    "edited; fetch it again, or correct the header."
                )
            if not columns:
                break
            if order == 1:
                table = WordTable(columns[0])
                if (twice := table.twice) is not None:
                    raise CorruptedCheckpoint(f"{self._path} lists the word {words[twice]!r} twice; expected it once.")
                columns[0] = np.arange(count, dtype=np.int32)[:, None]
            tables.append(NgramTable(columns[0], columns[1], columns[2]))
        if not self._ended or not tables:
            self._refuse("no \\end\\", "n-grams of the orders in the header, and \\end\\ after them")
        return Ngrams(words, tables)

    def _header(self) -> list[int]:
        r"""Return the numbers of n-grams that the header promises."""
        head = b""
        while b"\\data\\" not in head and len(head) < HEADER_BYTES and (block := self._file.read(self._block_bytes)):
            head += block
        start = head.find(b"\\data\\")
        if start < 0:
            raise UnknownCheckpoint(
                f"{self._path} has no line \\data\\ at its beginning; expected an ARPA file, as sonant lm train, "
                "SRILM or KenLM's lmplz write them."
            )
        self._line = head.count(b"\n", 0, start)
        self._rest = head[start:]
        self._take_line()
        counts: list[int] = []
        while not self._rest.startswith(b"\\"):
            line = self._take_line().strip()
            found = _COUNT.fullmatch(line)
            if found and int(found[1]) == len(counts) + 1:
                counts.append(int(found[2]))
            elif line:
                self._refuse(line.decode(errors="replace"), f'"ngram {len(counts) + 1}=" and a number, or \\1-grams:')
        return counts

    def _fill(self) -> None:
        block = self._file.read(self._block_bytes)
        if not block:
            raise CorruptedCheckpoint(
                f"{self._path} ends in line {self._line + self._rest.count(NEWLINE) + 1} without \\end\\; expected a "
                "complete ARPA file. It was probably cut short; fetch it again."
            )
        self._rest += block

    def _take_line(self) -> bytes:
        while NEWLINE not in self._rest:
            self._fill()
        line, _, self._rest = self._rest.partition(NEWLINE)
        self._line += 1
        if not self._rest and not line.startswith(b"\\end\\"):
            self._fill()
        return line

    def _section(self, order: int) -> Iterator[bytes]:
        """Yield the lines of the n-grams of one order in blocks, and read the line that begins the next section."""
        if self._ended:
            return
        title = self._take_line().strip()
        if title != b"\\%d-grams:" % order:
            self._refuse(title.decode(errors="replace"), f"\\{order}-grams:")
        while True:
            # The first line that begins with a backslash ends the section.
            mark = 0 if self._rest.startswith(b"\\") else self._rest.find(b"\n\\") + 1 or None
            cut = self._rest.rfind(NEWLINE) + 1 if mark is None else mark
            block, self._rest = self._rest[:cut], self._rest[cut:]
            if block.strip():
                yield block
            self._line += block.count(NEWLINE)
            if mark is not None:
                break
            self._fill()
        while NEWLINE not in self._rest and not self._rest.startswith(b"\\end\\"):
            self._fill()
        self._ended = self._rest.startswith(b"\\end\\")

    def _values(self, fields: LineFields, order: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the log-probabilities and back-off weights of lines, as natural logarithms."""
        has_back_off = fields.counts == order + 2
        if not (has_back_off | (fields.counts == order + 1)).all():
            row = int(np.argmin(has_back_off | (fields.counts == order + 1)))
            self._refuse_line(fields, row, f"a log-probability, {order} words and maybe a back-off weight")
        probabilities = self._floats(fields, fields.first)
        back_offs = np.zeros(len(fields.first))
        back_offs[has_back_off] = self._floats(fields, fields.first[has_back_off] + order + 1)
        if not (fine := (probabilities <= TOLERANCE) & (back_offs < np.inf)).all():
            self._refuse_line(fields, int(np.argmin(fine)), "a base-10 logarithm of a probability, at most 0")
        return (np.minimum(probabilities, 0) * LN10).astype(np.float32), (back_offs * LN10).astype(np.float32)

    def _floats(self, fields: LineFields, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        values = parse_numbers(fields.data, fields.starts[tokens], fields.ends[tokens])
        if np.isnan(values).any():
            token = tokens[int(np.argmax(np.isnan(values)))]
            row = int(np.searchsorted(fields.first, token, side="right")) - 1
            self._refuse_line(fields, row, f"a number instead of {fields.text(token)!r}")
        return values

    def _hashes(self, fields: LineFields, order: int) -> NDArray[np.uint64]:
        tokens = np.minimum(fields.first[:, None] + np.arange(1, order + 1), len(fields.starts) - 1)
        return fields.hashes(tokens)

    def _numbers(self, fields: LineFields, order: int, table: WordTable) -> NDArray[np.int32]:
        numbers = table.find(self._hashes(fields, order))
        if (numbers < 0).any():
            row, column = np.argwhere(numbers < 0)[0]
            if fields.counts[row] >= order + 1:  # otherwise `_values` says what is missing
                word = fields.text(fields.first[row] + 1 + column)
                self._refuse_line(fields, int(row), f"words of the unigrams, where {word!r} is not")
        return numbers

    def _words(self, fields: LineFields) -> list[str]:
        tokens = np.minimum(fields.first + 1, len(fields.starts) - 1)
        starts, ends = fields.starts[tokens].tolist(), fields.ends[tokens].tolist()
        words = []
        for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
            try:
                words.append(fields.block[start:end].decode())
            except UnicodeDecodeError:
                self._refuse_line(fields, row, "words in UTF-8 (convert it, for instance by iconv -f latin1 -t utf8)")
        return words

    def _refuse_line(self, fields: LineFields, row: int, expected: str) -> NoReturn:
        start = fields.starts[fields.first[row]]
        self._line += fields.block.count(NEWLINE, 0, start) + 1
        line = fields.block[start:].partition(NEWLINE)[0]
        self._refuse(line[:100].decode(errors="replace").strip(), expected)

    def _refuse(self, found: str, expected: str) -> NoReturn:
        raise CorruptedCheckpoint(f"{self._path}, line {self._line}: {found!r}; expected {expected}.")


def write_arpa(path: str | Path, ngrams: Ngrams) -> None:
    """Write an ARPA file, compressed if its name ends in .gz."""
    path = Path(path)
    with atomic(path) as draft, draft.open("wb") as raw:
        if path.suffix == ".gz":
            with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as file:
                _write(cast("IO[bytes]", file), ngrams)
        else:
            _write(raw, ngrams)


def _write(file: IO[bytes], ngrams: Ngrams) -> None:
    file.write(b"\\data\\\n")
    for order, table in enumerate(ngrams.tables, 1):
        file.write(b"ngram %d=%d\n" % (order, len(table.words)))
    names = np.array(ngrams.words, object)
    for order, table in enumerate(ngrams.tables, 1):
        file.write(b"\n\\%d-grams:\n" % order)
        last = order == len(ngrams.tables)
        for start in range(0, len(table.words), 1 << 16):
            rows = slice(start, start + (1 << 16))
            words = map(" ".join, names[table.words[rows]].tolist())
            probabilities = _written(table.log_probabilities[rows])
            if last:
                lines = map("%s\t%s".__mod__, zip(probabilities, words, strict=True))
            else:
                back_offs = _written(table.back_offs[rows])
                lines = map("%s\t%s\t%s".__mod__, zip(probabilities, words, back_offs, strict=True))
            file.write(("\n".join(lines) + "\n").encode())
    file.write(b"\n\\end\\\n")


def _written(logarithms: NDArray[np.float32]) -> list[str]:
    """Write natural logarithms to base 10, with as many digits as float32 has."""
    return ["%.9g" % value for value in (logarithms.astype(np.float64) / LN10).tolist()]  # noqa: UP031 - half the time of a format

"""Sentences for language models: lines of text files, or transcripts of manifests."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from sonant.data.manifest import READERS, read_manifest
from sonant.data.progress import Progress
from sonant.data.text_normalization import Normalization, normalize_text
from sonant.errors import ManifestError

TextUnits = Literal["words", "characters"]
DELIMITER = "|"  # between words spelled in characters, as in most CTC vocabularies
LINES = 10_000  # between updates of the progress


def read_sentences(
    sources: Sequence[str | Path],
    *,
    label: str = "text",
    normalize: Normalization = "none",
    units: TextUnits = "words",
    progress: bool | None = False,
) -> Iterator[str]:
    """Yield sentences of several sources, as units separated by spaces.

    Args:
        sources: text files with one sentence a line, in UTF-8, plain or compressed by gzip; "-": standard input; or
            manifests and folders with transcripts.
        label: field of a manifest with the transcript; recordings without it are left out.
        normalize: form of the text, see `normalize_text`.
        units: of characters, each is a unit, and "|" stands between words.
        progress: whether to show it; None: a bar on a terminal, lines otherwise.

    Raises ManifestError: a source is missing or not in UTF-8, or a manifest has no such field.
    """
    for line in _lines(sources, label, progress=progress):
        text = normalize_text(line, normalize) if normalize != "none" else line
        yield text if units == "words" else " ".join(DELIMITER.join(text.split()))


def _lines(sources: Sequence[str | Path], label: str, *, progress: bool | None) -> Iterator[str]:
    texts = [source for source in sources if not _is_list(source)]
    size = sum(_size(source) for source in texts)
    with Progress(size / 1e6, title="text", unit="MB", show=progress) as bar:
        for source in sources:
            yield from _text_lines(source, bar) if source in texts else _transcripts(source, label)


def _is_list(source: str | Path) -> bool:
    return Path(source).is_dir() or Path(source).suffix.lower() in READERS


def _size(source: str | Path) -> int:
    return 0 if str(source) == "-" or not Path(source).is_file() else Path(source).stat().st_size


def _transcripts(source: str | Path, label: str) -> Iterator[str]:
    texts = [entry.fields.get(label) for entry in read_manifest(source)]
    if all(text is None for text in texts):
        raise ManifestError(f"{source} has no field {label!r}; expected transcripts. Name their field by --label.")
    yield from (str(text) for text in texts if text is not None)


def _text_lines(source: str | Path, bar: Progress) -> Iterator[str]:
    if str(source) == "-":
        yield from _decoded(sys.stdin.buffer, source)
        return
    if not Path(source).is_file():
        raise ManifestError(f"There is no text at {source}; expected a file with one sentence a line, or a manifest.")
    with Path(source).open("rb") as raw:
        compressed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        before = 0
        try:
            for number, line in enumerate(_decoded(gzip.GzipFile(fileobj=raw) if compressed else raw, source)):
                yield line
                if number % LINES == LINES - 1:
                    bar.update((raw.tell() - before) / 1e6)
                    before = raw.tell()
        except (EOFError, gzip.BadGzipFile) as error:
            raise ManifestError(f"{source} cannot be decompressed: {error}. It was probably cut short.") from error


def _decoded(lines: Iterator[bytes] | gzip.GzipFile, source: str | Path) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise ManifestError(
                f"{source}, line {number}, is not in UTF-8: {error.reason}. Convert it, for instance by "
                "iconv -f latin1 -t utf8."
            ) from error

"""Texts of a language model's training, one at a time from files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

from sonant.data.manifest import READERS
from sonant.data.rows import lines_of
from sonant.data.text_normalization import Normalization, normalize_text
from sonant.errors import ManifestError


@dataclass(frozen=True)
class Texts:
    """Texts that are read from files each time they are gone through.

    Attributes:
        paths: a text file (UTF-8, a text in each line), or a manifest, of which a column is read.
        normalization: applied to each text; texts that it leaves empty are left out.
        column: of the manifests.
    """

    paths: Sequence[Path]
    normalization: Normalization = "none"
    column: str = "text"

    def __iter__(self) -> Iterator[str]:
        for path in self.paths:
            read = READERS.get(path.suffix.lower())
            for text in _lines(path) if read is None else self._column(path):
                if normalized := normalize_text(text, self.normalization):
                    yield normalized

    def _column(self, path: Path) -> Iterator[str]:
        for row in READERS[path.suffix.lower()](path):
            text = row.fields.get(self.column)
            if not isinstance(text, str):
                raise ManifestError(f"{row.where} has no {self.column!r} that is a text, but {text!r:.60}.")
            yield text

    def digest(self) -> str:
        """Return a hash of the contents of the files. Raises ManifestError if one is missing."""
        found = []
        for path in self.paths:
            if not path.is_file():
                raise ManifestError(f"There is no file of texts at {path}.")
            with path.open("rb") as file:
                found.append(file_digest(file, "sha256").hexdigest()[:16])
        return " ".join(found)


def _lines(path: Path) -> Iterator[str]:
    for where, line in lines_of(path):
        if any("\udc80" <= each <= "\udcff" for each in line):
            raise ManifestError(f"{where}: {line[:60]!r} is not UTF-8. Convert the file.")
        yield line

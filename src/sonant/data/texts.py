"""Texts of a language model's training, one at a time from files."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

from sonant.data.manifest import READERS
from sonant.data.rows import lines_of
from sonant.data.text_normalization import Normalization, normalize_text
from sonant.errors import ManifestError


@dataclass(frozen=True)
class Texts:
    """Texts that are read from a file each time they are gone through.

    Attributes:
        path: a text file (UTF-8, a text in each line), or a manifest, of which a column is read; "" has no texts.
        normalization: applied to each text; texts that it leaves empty are left out.
        column: of the manifest.
    """

    path: str
    normalization: Normalization = "none"
    column: str = "text"

    def __iter__(self) -> Iterator[str]:
        path = Path(self.path).expanduser()
        for text in self._column(path) if path.suffix.lower() in READERS else _lines(path):
            if normalized := normalize_text(text, self.normalization):
                yield normalized

    def _column(self, path: Path) -> Iterator[str]:
        for row in READERS[path.suffix.lower()](path):
            text = row.fields.get(self.column)
            if not isinstance(text, str):
                raise ManifestError(f"{row.where} has no {self.column!r} that is a text, but {text!r:.60}.")
            yield text

    def digest(self) -> str:
        """Return a hash of the contents of the file. Raises ManifestError if it is missing."""
        path = Path(self.path).expanduser()
        if not self.path:
            return ""
        if not path.is_file():
            raise ManifestError(f"There is no file of texts at {path}.")
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()[:16]


def _lines(path: Path) -> Iterator[str]:
    for where, line in lines_of(path):
        if any("\udc80" <= each <= "\udcff" for each in line):
            raise ManifestError(f"{where}: {line[:60]!r} is not UTF-8. Convert the file.")
        yield line

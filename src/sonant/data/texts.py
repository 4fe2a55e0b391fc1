"""Texts of a language model's training, one at a time from files."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

from sonant.data.sentences import read_sentences
from sonant.data.text_normalization import Normalization, normalize_text
from sonant.errors import ManifestError


@dataclass(frozen=True)
class Texts:
    """Texts that are read from a file each time they are gone through.

    Attributes:
        path: as in `read_sentences`, but for standard input; "" has no texts.
        normalization: applied to each text; texts that it leaves empty are left out.
        column: of a manifest.
    """

    path: str
    normalization: Normalization = "none"
    column: str = "text"

    def __iter__(self) -> Iterator[str]:
        for text in read_sentences([Path(self.path).expanduser()], label=self.column):
            if normalized := normalize_text(text, self.normalization):
                yield normalized

    def digest(self) -> str:
        """Return a hash of the contents of the file. Raises ManifestError if it is missing."""
        path = Path(self.path).expanduser()
        if not self.path:
            return ""
        if not path.is_file():
            raise ManifestError(f"There is no file of texts at {path}.")
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()[:16]

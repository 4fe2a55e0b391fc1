"""Tokenizers of language models: words, characters, sentencepiece's subwords, and byte-level BPE as of GPT-2.

Texts are words with single spaces between them. Tokens 0 to 3 of those that sonant makes are `SPECIALS`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Protocol

from sonant.data.subwords import Subwords
from sonant.errors import ConfigurationError, MissingExtra

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
UNKNOWN = SPECIALS.index("<unk>")
SPACE = "\u2581"  # a space, in files
UNITS_FILE, SUBWORDS_FILE, BPE_FILE = "vocab.txt", "tokenizer.model", "tokenizer.json"
BPE_PAIR = ("vocab.json", "merges.txt")  # in place of tokenizer.json in older folders
SAMPLED = 1_000_000  # texts that subwords are made of

Units = Literal["words", "characters", "subwords"]


class TextTokenizer(Protocol):
    """The tokens of a text; those of a word do not depend on the words beside it."""

    def __len__(self) -> int: ...

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text, without begin and end: those of its words by `encode_word`, in order."""

    def encode_word(self, word: str, *, first: bool) -> list[int]:
        """Return the tokens of a word, with those of the space before it unless it is the first of its text."""

    def save(self, folder: Path) -> None:
        """Write the file from which `read_tokenizer` makes it again."""


class UnitTokenizer:
    """A list of words or characters; what is not in it becomes `<unk>`.

    Args:
        units: by number, with `SPECIALS` first.
        kind: what they are.
    """

    def __init__(self, units: Sequence[str], kind: Literal["words", "characters"]) -> None:
        self.units, self.kind = tuple(units), kind
        self._numbers = {unit: number for number, unit in enumerate(units)}
        if self.units[: len(SPECIALS)] != SPECIALS or len(self._numbers) < len(self.units):
            raise ConfigurationError(
                f"The first units must be {' '.join(SPECIALS)}, and no unit may be there twice; the first of the "
                f"{len(units)} are {' '.join(units[:5])!r}."
            )

    @classmethod
    def of_texts(
        cls, texts: Iterable[str], kind: Literal["words", "characters"], *, size: int | None = None
    ) -> UnitTokenizer:
        """List the units of texts, the most frequent first.

        Args:
            size: largest number of units, with `SPECIALS`; None: all of them.
        """
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(text.split() if kind == "words" else text)
        for reserved in (*SPECIALS, SPACE):
            counts.pop(reserved, None)
        found = sorted(counts, key=lambda unit: (-counts[unit], unit))
        return cls([*SPECIALS, *found[: None if size is None else max(0, size - len(SPECIALS))]], kind)

    def __len__(self) -> int:
        return len(self.units)

    def encode(self, text: str) -> list[int]:
        units = text.split() if self.kind == "words" else text
        return [self._numbers.get(unit, UNKNOWN) for unit in units]

    def encode_word(self, word: str, *, first: bool) -> list[int]:
        return self.encode(word if first or self.kind == "words" else f" {word}")

    def save(self, folder: Path) -> None:
        lines = (unit.replace(" ", SPACE) for unit in self.units)
        (folder / UNITS_FILE).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


class SubwordTokenizer:
    """A sentencepiece model."""

    def __init__(self, subwords: Subwords) -> None:
        self.subwords = subwords

    def __len__(self) -> int:
        return len(self.subwords)

    def encode(self, text: str) -> list[int]:
        return self.subwords.encode(text)

    def encode_word(self, word: str, *, first: bool) -> list[int]:  # noqa: ARG002 - every word has its space
        return self.subwords.encode(word)

    def save(self, folder: Path) -> None:
        (folder / SUBWORDS_FILE).write_bytes(self.subwords.model)


class ByteLevelTokenizer:
    """Byte-level BPE, by the package tokenizers; every text has tokens."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def read(cls, folder: Path) -> ByteLevelTokenizer:
        """Read `tokenizer.json`, or `vocab.json` and `merges.txt`."""
        try:
            from tokenizers import Tokenizer, decoders, models, pre_tokenizers
        except ImportError as error:
            raise MissingExtra("tokenizers", extra="text", purpose="Text in the tokens of GPT-2") from error
        try:
            if (folder / BPE_FILE).is_file():
                return cls(Tokenizer.from_file(str(folder / BPE_FILE)))
            made = Tokenizer(models.BPE.from_file(*(str(folder / name) for name in BPE_PAIR)))
        except Exception as error:  # the package raises no narrower type
            raise ConfigurationError(f"The tokenizer in {folder} cannot be read: {error}. Fetch it again.") from error
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        return cls(made)

    def __len__(self) -> int:
        return int(self._tokenizer.get_vocab_size())

    def encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def encode_word(self, word: str, *, first: bool) -> list[int]:
        return self.encode(word if first else f" {word}")

    def save(self, folder: Path) -> None:
        self._tokenizer.save(str(folder / BPE_FILE))


def make_tokenizer(texts: Iterable[str], units: Units, *, size: int) -> TextTokenizer:
    """Make a tokenizer of normalized texts.

    Args:
        size: largest number of words, or number of subwords, with `SPECIALS`; of characters all are taken. Subwords are
            made of the first million texts.
    """
    if units == "subwords":
        with TemporaryDirectory() as folder:
            return SubwordTokenizer(Subwords.train(islice(texts, SAMPLED), Path(folder, SUBWORDS_FILE), size=size))
    return UnitTokenizer.of_texts(texts, units, size=size if units == "words" else None)


def read_tokenizer(folder: Path, units: Units | None = None) -> TextTokenizer:
    """Read the tokenizer in a folder.

    Args:
        units: what its tokens are, where the folder's configuration says so.

    Raises:
        ConfigurationError: the folder has none, or it cannot be read.
    """
    if units in ("words", "characters") and (folder / UNITS_FILE).is_file():
        lines = (folder / UNITS_FILE).read_text(encoding="utf-8").split("\n")
        return UnitTokenizer([line.replace(SPACE, " ") for line in lines[:-1]], units)
    if units == "subwords" and (folder / SUBWORDS_FILE).is_file():
        return SubwordTokenizer(Subwords(folder / SUBWORDS_FILE))
    if units is None and ((folder / BPE_FILE).is_file() or all((folder / name).is_file() for name in BPE_PAIR)):
        return ByteLevelTokenizer.read(folder)
    raise ConfigurationError(
        f"{folder} has no tokenizer that is read here: {BPE_FILE} or {' with '.join(BPE_PAIR)}, as models of GPT-2 "
        f"have; or {UNITS_FILE} or {SUBWORDS_FILE}, as sonant writes them with its configuration. Put it there."
    )

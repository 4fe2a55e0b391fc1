"""Units of transcripts for CTC, and those that transcripts make: characters, phones and bytes."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sonant.data.lexicons import read_lexicon_lines
from sonant.decoding.ctc_vocabulary import (
    BYTE_TOKENIZER,
    BYTE_TOKENS,
    DELIMITER,
    PHONEME_TOKENIZER,
    CTCVocabulary,
)
from sonant.errors import ConfigurationError, ManifestError

BLANK, UNKNOWN = "<pad>", "<unk>"  # the names of transformers
UNSPELLED = "no token"  # with a space, which no token has
COMMON = {"pad_token": BLANK, "unk_token": UNKNOWN, "bos_token": None, "eos_token": None}


class TextUnits(ABC):
    """Spelling of transcripts in tokens of a CTC head.

    Attributes:
        are_phones: transcripts are sequences of phones, not words.
    """

    are_phones = False

    @abstractmethod
    def tokens(self, labels: Sequence[str]) -> tuple[str, ...]:
        """Return the tokens by number, from the transcripts of the training set. Raises ManifestError."""

    @abstractmethod
    def spell(self, label: str) -> list[str]:
        """Return the tokens of a transcript; for what has none, words that say it, with a space."""

    @abstractmethod
    def characters(self, word: str) -> list[tuple[str, Sequence[str]]]:
        """Return the characters of one word with their tokens; several characters where a token has several.

        Tokens that no vocabulary has stand for what cannot be spelled.
        """

    @abstractmethod
    def letters(self, tokens: Sequence[str]) -> frozenset[str]:
        """Return the characters that words may have; empty if any can be spelled, or transcripts are phones."""

    @abstractmethod
    def notes(self, tokens: Sequence[str]) -> dict[str, Any]:
        """Return the metadata of a head with these tokens."""


class Characters(TextUnits):
    """Characters, with "|" between words."""

    def tokens(self, labels: Sequence[str]) -> tuple[str, ...]:
        found = {piece for label in labels for word in label.split(" ") for piece in self.pieces(word)}
        return _distinct(self, (BLANK, UNKNOWN, DELIMITER), found)

    def pieces(self, word: str) -> list[str]:
        """Return the tokens of one word: its characters."""
        return list(word)

    def spell(self, label: str) -> list[str]:
        words = [self.pieces(word) for word in label.split(" ")]
        return [piece for number, word in enumerate(words) for piece in ([DELIMITER] if number else []) + word]

    def characters(self, word: str) -> list[tuple[str, Sequence[str]]]:
        return [(each, [UNSPELLED if each == DELIMITER else each]) for each in self.pieces(word)]

    def letters(self, tokens: Sequence[str]) -> frozenset[str]:
        return single_characters(tokens, DELIMITER)

    def notes(self, tokens: Sequence[str]) -> dict[str, Any]:
        tokenizer = {"tokenizer_class": "Wav2Vec2CTCTokenizer", **COMMON, "word_delimiter_token": DELIMITER}
        return {"vocabulary": list(tokens), "blank": 0, "tokenizer": tokenizer}


def single_characters(tokens: Iterable[str], delimiter: str) -> frozenset[str]:
    """Return the tokens of one character, without the delimiter."""
    return frozenset(token for token in tokens if len(token) == 1 and token != delimiter)


def _distinct(units: TextUnits, special: Sequence[str], found: Iterable[str]) -> tuple[str, ...]:
    """Return special tokens and those of transcripts. Raises ManifestError: one of the latter is not read as itself."""
    tokens = (*special, *sorted(found))
    notes = units.notes(tokens)
    vocabulary = CTCVocabulary.of(tokens, blank=notes["blank"], tokenizer=notes["tokenizer"])
    unread = vocabulary.outside_words | vocabulary.bytes.keys()
    for number, token in enumerate(tokens[len(special) :], start=len(special)):
        if number in unread or vocabulary.text(number) != token or token in special:
            raise ManifestError(
                f"A transcript contains {token!r}, which is read as something else in a CTC vocabulary: as a space "
                "between words, a special token, or a byte. Replace it in the transcripts, or in the lexicon."
            )
    return tokens


class Phones(TextUnits):
    """Phones, with spaces between them in the transcript, or those that a lexicon gives for its words.

    Args:
        lexicon: a word in each line, white space, and its phones with spaces between; of several pronunciations the
            first one counts. None: transcripts are phones.
    """

    are_phones = True

    def __init__(self, lexicon: Path | None) -> None:
        self._lexicon = None if lexicon is None else _phones_of_words(lexicon)

    def tokens(self, labels: Sequence[str]) -> tuple[str, ...]:
        phones = {phone for label in labels for phone in self.spell(label) if " " not in phone}
        return _distinct(self, (BLANK, UNKNOWN), phones)

    def spell(self, label: str) -> list[str]:
        if self._lexicon is None:
            return label.split()
        return [phone for word in label.split() for phone in self._lexicon.get(word, [f"no phones of {word}"])]

    def characters(self, word: str) -> list[tuple[str, Sequence[str]]]:
        if self._lexicon is not None and word not in self._lexicon:
            return [(word, [UNSPELLED])]
        return [(phone, [phone]) for phone in self.spell(word)]

    def letters(self, tokens: Sequence[str]) -> frozenset[str]:  # noqa: ARG002
        return frozenset(character for word in self._lexicon or () for character in word)

    def notes(self, tokens: Sequence[str]) -> dict[str, Any]:
        tokenizer = {"tokenizer_class": PHONEME_TOKENIZER, **COMMON, "do_phonemize": False}
        return {"vocabulary": list(tokens), "blank": 0, "tokenizer": tokenizer}


def _phones_of_words(path: Path) -> dict[str, list[str]]:
    """Return the phones of each word in a lexicon, those of its first line. Raises ConfigurationError."""
    found: dict[str, list[str]] = {}
    for number, word, phones in read_lexicon_lines(path):
        if not phones:
            raise ConfigurationError(
                f"{path}, line {number}: {word[:80]!r} has no phones; expected a word and its phones, such as "
                "'HELLO HH AH L OW'."
            )
        found.setdefault(word, list(phones))
    return found


class Bytes(TextUnits):
    """Bytes of UTF-8, all 256, numbered as in transformers' ByT5Tokenizer: behind three special tokens."""

    def tokens(self, labels: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG002
        return (BLANK, "</s>", UNKNOWN, *BYTE_TOKENS)

    def spell(self, label: str) -> list[str]:
        return [BYTE_TOKENS[byte] for byte in label.encode()]

    def characters(self, word: str) -> list[tuple[str, Sequence[str]]]:
        return [(each, self.spell(each)) for each in word]

    def letters(self, tokens: Sequence[str]) -> frozenset[str]:  # noqa: ARG002
        return frozenset()

    def notes(self, tokens: Sequence[str]) -> dict[str, Any]:
        settings = {"tokenizer_class": BYTE_TOKENIZER, "pad_token": BLANK, "eos_token": "</s>", "unk_token": UNKNOWN}
        return {"vocabulary": list(tokens), "blank": 0, "tokenizer": settings | {"extra_ids": 0}}

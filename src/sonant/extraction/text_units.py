"""Units of transcripts for CTC: characters, phones, subwords and bytes, and those of a trained model."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sonant.checkpoints import Head
from sonant.checkpoints.fairseq2_tokenizer import unusable
from sonant.checkpoints.sentencepiece_model import read_sentencepiece_model
from sonant.checkpoints.tokenizer_files import PIECES, SETTINGS
from sonant.data.lexicons import read_lexicon_lines
from sonant.data.subwords import Subwords
from sonant.decoding.ctc_vocabulary import (
    BYTE_TOKENIZER,
    BYTE_TOKENS,
    DELIMITER,
    PHONEME_TOKENIZER,
    PIECE,
    CTCVocabulary,
)
from sonant.errors import ConfigurationError, ManifestError
from sonant.extraction.vocabularies import vocabulary_of

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
        characters = {character for label in labels for character in label} - {" "}
        return _distinct(self, (BLANK, UNKNOWN, DELIMITER), characters)

    def spell(self, label: str) -> list[str]:
        return [DELIMITER if character == " " else character for character in label]

    def characters(self, word: str) -> list[tuple[str, Sequence[str]]]:
        return [(each, [UNSPELLED if each == DELIMITER else each]) for each in word]

    def letters(self, tokens: Sequence[str]) -> frozenset[str]:
        return _single(tokens, DELIMITER)

    def notes(self, tokens: Sequence[str]) -> dict[str, Any]:
        tokenizer = {"tokenizer_class": "Wav2Vec2CTCTokenizer", **COMMON, "word_delimiter_token": DELIMITER}
        return {"vocabulary": list(tokens), "blank": 0, "tokenizer": tokenizer}


def _single(tokens: Iterable[str], delimiter: str) -> frozenset[str]:
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


class Pieces(TextUnits):
    """Pieces of a sentencepiece model, whose token 0 is taken for the blank.

    Raises ConfigurationError: the pieces cannot be joined to text, or token 0 is written.
    """

    def __init__(self, path: Path) -> None:
        self._subwords, self._model = Subwords(path), read_sentencepiece_model(path)
        reason = unusable(self._model)
        if reason is not None:
            raise ConfigurationError(f"{path} {reason}. Give another sentencepiece model.")
        first = self._model.texts[0]
        self._tokens = [{first: BLANK, BLANK: first}.get(text, text) for text in self._model.texts]
        self._unknown = self._model.kinds.index("unknown")

    def tokens(self, labels: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG002
        return tuple(self._tokens)

    def spell(self, label: str) -> list[str]:
        numbers = self._subwords.encode(label)
        if PIECE in label:
            return [f"{PIECE} for a space"]
        if self._unknown in numbers:
            spelled = {character for piece in self._model.texts for character in piece}
            return [f"no piece for {character}" for character in label if character not in {" ", *spelled}]
        return [self._tokens[number] for number in numbers]

    def characters(self, word: str) -> list[tuple[str, Sequence[str]]]:
        tokens = self.spell(word)
        if any(" " in token for token in tokens):  # what cannot be spelled
            return [(word, [UNSPELLED])]
        found: list[tuple[str, Sequence[str]]] = []
        alone: list[str] = []  # the mark of a space, as a token of its own
        for token in tokens:
            if token == PIECE:
                alone = [token]
            else:
                found.append((token.removeprefix(PIECE), [*alone, token]))
                alone = []
        return found

    def letters(self, tokens: Sequence[str]) -> frozenset[str]:  # noqa: ARG002
        texts = (text for text, kind in zip(self._model.texts, self._model.kinds, strict=True) if kind == "normal")
        return frozenset(character for text in texts for character in text) - {PIECE}

    def notes(self, tokens: Sequence[str]) -> dict[str, Any]:
        unknown = self._tokens[self._unknown]
        settings = {"tokenizer_class": "ParakeetTokenizer", "pad_token": BLANK, "unk_token": unknown}
        files = {PIECES: self._tokenizer_json(), SETTINGS: settings}
        return {"vocabulary": list(tokens), "blank": 0, "tokenizer": settings, "tokenizer_files": files}

    def _tokenizer_json(self) -> dict[str, Any]:
        """Return the content of tokenizer.json, a unigram model with the scores of the pieces."""
        spaces = {"type": "Metaspace", "replacement": PIECE, "prepend_scheme": "always", "split": True}
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False) | {"special": True}
        special = [number for number, kind in enumerate(self._model.kinds) if kind in ("control", "unknown")]
        scored = [[name, score] for name, (_, score) in zip(self._tokens, self._subwords.pieces, strict=True)]
        return {
            "version": "1.0",
            "added_tokens": [{"id": number, "content": self._tokens[number], **flags} for number in special],
            "pre_tokenizer": spaces,
            "decoder": spaces,
            "model": {"type": "Unigram", "unk_id": self._unknown, "vocab": scored},
        }


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


class Continued(TextUnits):
    """Tokens of a head that is trained further.

    Args:
        head: with vocabulary, which stays as it is.
        name: of its model, for messages.
        lexicon: for phones, as in `Phones`.
        subwords: sentencepiece model, needed if tokens have several letters.
        setting: name of the argument or option that gives it, for messages.

    Raises:
        CheckpointError: the tokens of the head are unknown.
        ConfigurationError: they have several letters, and `subwords` is missing or of other tokens.
    """

    def __init__(self, head: Head, name: str, *, lexicon: Path | None, subwords: Path | None, setting: str) -> None:
        vocabulary = vocabulary_of(head, name)
        self._metadata, self._tokens = head.metadata, vocabulary.tokens
        delimiter = min(vocabulary.delimiters, default=None)
        self._delimiter = "a space" if delimiter is None else vocabulary.tokens[delimiter]
        written = [name for number, name in enumerate(vocabulary.tokens) if number not in vocabulary.outside_words]
        self._inner: TextUnits | None = None
        if vocabulary.bytes:
            self._inner = Bytes()
        elif (head.metadata.get("tokenizer") or {}).get("tokenizer_class") == PHONEME_TOKENIZER:
            self._inner, self.are_phones = Phones(lexicon), True
        elif any(len(token) > 1 for token in written):
            self._inner = None if subwords is None else Pieces(subwords)
            if self._inner is None or self._inner.tokens(()) != vocabulary.tokens:
                raise ConfigurationError(
                    f"The tokens of {name} have several letters, so that a text can be spelled in many ways, and "
                    f"{'there is no tokenizer.model in its folder' if subwords is None else f'{subwords} has others'}. "
                    f"Name the sentencepiece model that it was trained with: {setting}=FILE."
                )

    def tokens(self, labels: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG002
        return self._tokens

    def spell(self, label: str) -> list[str]:
        if self._inner is not None:
            return self._inner.spell(label)
        if self._delimiter in label.replace(" ", ""):
            return [f"{self._delimiter} for a space"]
        return [self._delimiter if character == " " else character for character in label]

    def characters(self, word: str) -> list[tuple[str, Sequence[str]]]:
        if self._inner is not None:
            return self._inner.characters(word)
        return [(each, [UNSPELLED if each == self._delimiter else each]) for each in word]

    def letters(self, tokens: Sequence[str]) -> frozenset[str]:
        return _single(tokens, self._delimiter) if self._inner is None else self._inner.letters(tokens)

    def notes(self, tokens: Sequence[str]) -> dict[str, Any]:  # noqa: ARG002
        return self._metadata

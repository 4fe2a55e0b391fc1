"""The vocabulary of a CTC head: its tokens, and the roles of blank, word delimiters and special tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonant.data.slots import is_mark
from sonant.errors import ConfigurationError

DELIMITER = "|"
SPECIAL = frozenset({"<s>", "</s>", "<pad>", "<unk>", "<mask>", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ""})
SPECIAL_KEYS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
PHONEME_TOKENIZER = "Wav2Vec2PhonemeCTCTokenizer"
BYTE_TOKENIZER = "ByT5Tokenizer"  # of transformers, which has bytes behind three special tokens
PIECE = "▁"  # U+2581: sentencepiece's mark of a space, at the beginning of a piece
BYTE_TOKENS = tuple(f"<0x{byte:02X}>" for byte in range(256))  # the names of sentencepiece
_BYTE = re.compile("<0x[0-9A-F]{2}>")


@dataclass(frozen=True)
class CTCVocabulary:
    """The tokens of a CTC head, and their roles in decoding.

    Attributes:
        tokens: by number; "" for a number without a token.
        blank: number of the blank token.
        delimiters: numbers of the tokens that separate words.
        special: numbers of the tokens that are never part of a text, such as `<s>`.
        initial: numbers of the tokens that begin a word: sentencepiece's "▁to"; for phonemes every token.
        marks: numbers of the tokens that begin or end a slot, each of which is a word by itself: "B-city" and "E-city",
            where the vocabulary has both.
        bytes: values of the tokens that are one byte of UTF-8 each, by number.
        space: text between two words.
        lower_case: whether texts are converted to lower case.
        clean_up_spaces: whether the spaces before punctuation and contractions are removed.
    """

    tokens: tuple[str, ...]
    blank: int = 0
    delimiters: frozenset[int] = field(default_factory=frozenset)
    special: frozenset[int] = field(default_factory=frozenset)
    initial: frozenset[int] = field(default_factory=frozenset)
    marks: frozenset[int] = field(default_factory=frozenset)
    bytes: Mapping[int, int] = field(default_factory=dict)
    space: str = " "
    lower_case: bool = False
    clean_up_spaces: bool = False

    def __post_init__(self) -> None:
        for what, numbers in (("blank", {self.blank}), ("delimiter", self.delimiters)):
            for number in numbers:
                if not 0 <= number < len(self.tokens):
                    raise ConfigurationError(
                        f"The {what} is token {number} of {len(self.tokens)}; expected one of them."
                    )

    @property
    def outside_words(self) -> frozenset[int]:
        """Numbers of the tokens that are not part of a word: blank, delimiters and special tokens."""
        return self.special | self.delimiters | {self.blank}

    @cached_property
    def first_with_spelling(self) -> NDArray[np.int64]:
        """For each token the first one of the same spelling, int64 (tokens,): repeats are collapsed by spelling."""
        first = {self.tokens[self.blank]: self.blank}
        return np.array([first.setdefault(name, i) if name else i for i, name in enumerate(self.tokens)], np.int64)

    def text(self, token: int) -> str:
        """Return the text of a token."""
        name = self.tokens[token]
        return name.removeprefix(PIECE).replace(PIECE, " ") if token in self.initial else name

    @classmethod
    def of(cls, tokens: Sequence[str], *, blank: int = 0, tokenizer: Mapping[str, Any] | None = None) -> CTCVocabulary:
        """Assign the roles of tokens as the tokenizer of transformers does.

        Args:
            tokens: by number.
            blank: number of the blank token.
            tokenizer: contents of `tokenizer_config.json`; None: the defaults of `Wav2Vec2CTCTokenizer`.
        """
        settings = tokenizer or {}
        phonemes = settings.get("tokenizer_class") == PHONEME_TOKENIZER
        delimiter = token_text(settings.get("word_delimiter_token", None if phonemes else DELIMITER))
        space = settings.get("replace_word_delimiter_char", " ")
        space = space if isinstance(space, str) else " "
        numbers = range(len(tokens))
        byte_values = {number: int(name[3:5], 16) for number, name in enumerate(tokens) if _BYTE.fullmatch(name)}
        delimiters = {number for number in numbers if delimiter is not None and tokens[number] == delimiter}
        never_written = SPECIAL | special_tokens(settings)
        special = {number for number in numbers if tokens[number] in never_written} - delimiters
        if phonemes:
            special, delimiters, initial = special | delimiters, set(), set(numbers)
        else:
            delimiters |= {number for number in numbers if tokens[number] in {space, PIECE} - {""}}
            delimiters |= {number for number, value in byte_values.items() if value == ord(" ")}
            special -= delimiters
            initial = {number for number in numbers if tokens[number].startswith(PIECE)} - delimiters
        return cls(
            tuple(tokens),
            blank,
            delimiters=frozenset(delimiters - {blank}),
            special=frozenset(special - {blank}),
            initial=frozenset(initial),
            marks=frozenset() if phonemes or initial else _marks(tokens),
            bytes=byte_values,
            space=" " if phonemes else space,
            lower_case=bool(settings.get("do_lower_case", False)) and not phonemes,
            clean_up_spaces=bool(settings.get("clean_up_tokenization_spaces", False)),
        )


def _marks(tokens: Sequence[str]) -> frozenset[int]:
    """Return the numbers of the tokens that begin and end slots."""
    known = set(tokens)
    other = {"B": "E", "E": "B"}
    return frozenset(n for n, token in enumerate(tokens) if is_mark(token) and other[token[0]] + token[1:] in known)


def token_text(token: object) -> str | None:
    """The text of a token in `tokenizer_config.json`, where it is a string or an object with "content"."""
    found = token.get("content") if isinstance(token, Mapping) else token
    return found if isinstance(found, str) else None


def special_tokens(tokenizer: Mapping[str, Any]) -> set[str]:
    """The special tokens of a `tokenizer_config.json`."""
    named = [tokenizer.get(key) for key in SPECIAL_KEYS]
    for key in ("additional_special_tokens", "extra_special_tokens"):
        more = tokenizer.get(key)
        named += more if isinstance(more, list) else more.values() if isinstance(more, Mapping) else ()
    added = tokenizer.get("added_tokens_decoder")
    for entry in added.values() if isinstance(added, Mapping) else ():
        named += [entry] if isinstance(entry, Mapping) and entry.get("special") else ()
    return {name for name in map(token_text, named) if name is not None}

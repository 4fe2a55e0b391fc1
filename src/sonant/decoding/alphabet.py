"""The meaning of a CTC head's tokens: which is the blank, which separate words, which are never written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonant.errors import ConfigurationError

DELIMITER = "|"
SPECIAL = frozenset({"<s>", "</s>", "<pad>", "<unk>", "<mask>", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ""})
SPECIAL_KEYS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
PHONEME_TOKENIZER = "Wav2Vec2PhonemeCTCTokenizer"
PIECE = "▁"  # U+2581: sentencepiece's mark of a space, at the beginning of a piece


@dataclass(frozen=True)
class Alphabet:
    """The tokens of a CTC head.

    Attributes:
        tokens: by number; "" for a number without a token.
        blank: number of the blank token.
        delimiters: numbers of the tokens between words.
        special: numbers of tokens that are never written.
        initial: numbers of the tokens that begin a word: sentencepiece's "▁to"; every token where these are phonemes.
        space: what is written in place of a delimiter.
        lower_case: whether words are written in lower case.
        tidy: whether the spaces before punctuation and contractions are removed.
    """

    tokens: tuple[str, ...]
    blank: int = 0
    delimiters: frozenset[int] = field(default_factory=frozenset)
    special: frozenset[int] = field(default_factory=frozenset)
    initial: frozenset[int] = field(default_factory=frozenset)
    space: str = " "
    lower_case: bool = False
    tidy: bool = False

    def __post_init__(self) -> None:
        for what, numbers in (("blank", {self.blank}), ("delimiter", self.delimiters)):
            for number in numbers:
                if not 0 <= number < len(self.tokens):
                    raise ConfigurationError(
                        f"The {what} is token {number} of {len(self.tokens)}; expected one of them."
                    )

    @property
    def silent(self) -> frozenset[int]:
        """Numbers of the tokens that are no part of a word."""
        return self.special | self.delimiters | {self.blank}

    @cached_property
    def same(self) -> NDArray[np.int64]:
        """int64 (tokens,): of each token the first that is spelled alike, because runs are joined by spelling."""
        first = {self.tokens[self.blank]: self.blank}
        return np.array([first.setdefault(name, i) if name else i for i, name in enumerate(self.tokens)], np.int64)

    def text(self, token: int) -> str:
        """Return what a token writes."""
        name = self.tokens[token]
        return name.removeprefix(PIECE).replace(PIECE, " ") if token in self.initial else name

    @classmethod
    def of(cls, vocabulary: Sequence[str], *, blank: int = 0, tokenizer: Mapping[str, Any] | None = None) -> Alphabet:
        """The alphabet of a vocabulary, as the tokenizer that transformers would take reads it.

        Args:
            vocabulary: the tokens by number.
            blank: number of the blank token.
            tokenizer: what `tokenizer_config.json` says; without it the defaults of `Wav2Vec2CTCTokenizer` hold.
        """
        told = tokenizer or {}
        phonemes = told.get("tokenizer_class") == PHONEME_TOKENIZER
        delimiter = content(told.get("word_delimiter_token", None if phonemes else DELIMITER))
        space = told.get("replace_word_delimiter_char", " ")
        space = space if isinstance(space, str) else " "
        numbers = range(len(vocabulary))
        parting = {number for number in numbers if delimiter is not None and vocabulary[number] == delimiter}
        unwritten = SPECIAL | special_tokens(told)
        special = {number for number in numbers if vocabulary[number] in unwritten} - parting
        if phonemes:
            special, parting, initial = special | parting, set(), set(numbers)
        else:
            parting |= {number for number in numbers if vocabulary[number] in {space, PIECE} - {""}}
            special -= parting
            initial = {number for number in numbers if vocabulary[number].startswith(PIECE)} - parting
        return cls(
            tuple(vocabulary),
            blank,
            delimiters=frozenset(parting - {blank}),
            special=frozenset(special - {blank}),
            initial=frozenset(initial),
            space=" " if phonemes else space,
            lower_case=bool(told.get("do_lower_case", False)) and not phonemes,
            tidy=bool(told.get("clean_up_tokenization_spaces", False)),
        )


def content(token: object) -> str | None:
    """A token of `tokenizer_config.json`: bare, or with notes around it."""
    found = token.get("content") if isinstance(token, Mapping) else token
    return found if isinstance(found, str) else None


def special_tokens(tokenizer: Mapping[str, Any]) -> set[str]:
    """The tokens that a `tokenizer_config.json` calls special."""
    named = [tokenizer.get(key) for key in SPECIAL_KEYS]
    for key in ("additional_special_tokens", "extra_special_tokens"):
        more = tokenizer.get(key)
        named += more if isinstance(more, list) else more.values() if isinstance(more, Mapping) else ()
    added = tokenizer.get("added_tokens_decoder")
    for entry in added.values() if isinstance(added, Mapping) else ():
        named += [entry] if isinstance(entry, Mapping) and entry.get("special") else ()
    return {name for name in map(content, named) if name is not None}

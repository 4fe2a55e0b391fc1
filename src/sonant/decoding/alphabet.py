"""What the tokens of a recogniser mean: which is none, which parts words, which are no speech at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sonant.errors import ConfigurationError

DELIMITER = "|"
SPECIAL = frozenset({"<s>", "</s>", "<pad>", "<unk>", "<mask>", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ""})
PHONEME_TOKENIZER = "Wav2Vec2PhonemeCTCTokenizer"


@dataclass(frozen=True)
class Alphabet:
    """The tokens of a CTC head.

    Attributes:
        tokens: by number; "" for a number without a token.
        blank: number of the token that says nothing.
        delimiter: number of the token between words; None where every token is a word of its own, as phonemes are.
        special: numbers of tokens that are never written.
    """

    tokens: tuple[str, ...]
    blank: int = 0
    delimiter: int | None = None
    special: frozenset[int] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        for what, number in (("blank", self.blank), ("delimiter", self.delimiter)):
            if number is not None and not 0 <= number < len(self.tokens):
                raise ConfigurationError(f"The {what} is token {number} of {len(self.tokens)}; expected one of them.")

    @property
    def silent(self) -> frozenset[int]:
        """Numbers of the tokens that are no part of a word."""
        return self.special | {self.blank} | ({self.delimiter} if self.delimiter is not None else set())

    @classmethod
    def of(cls, vocabulary: Sequence[str], *, blank: int = 0, tokenizer: Mapping[str, Any] | None = None) -> Alphabet:
        """From a vocabulary, by number, and what `tokenizer_config.json` says of it where there is one.

        Words are parted by the tokenizer's `word_delimiter_token`, usually "|". Where it has none, or the vocabulary
        lacks it, each token is a word of its own: phonemes.
        """
        told = tokenizer or {}
        phonemes = told.get("tokenizer_class") == PHONEME_TOKENIZER
        named = _content(told.get("word_delimiter_token", None if phonemes else DELIMITER))
        names = {name: number for number, name in enumerate(vocabulary)}
        unwritten = SPECIAL | {_content(told.get(f"{kind}_token")) for kind in ("bos", "eos", "unk", "pad")}
        special = {number for number, name in enumerate(vocabulary) if name in unwritten and name != named}
        return cls(tuple(vocabulary), blank, names.get(named or ""), frozenset(special - {blank}))


def _content(token: object) -> str | None:
    """A token of `tokenizer_config.json`: bare, or with notes around it."""
    found = token.get("content") if isinstance(token, Mapping) else token
    return found if isinstance(found, str) else None

"""Words of the hypotheses of a beam search: when one ends, which one it was, and which may follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from sonant.decoding.prefix_beam.lexicon import Lexicon, Trie
from sonant.decoding.prefix_beam.units import SPACE, SearchUnits
from sonant.decoding.spacing import is_without_spaces, joins_next, joins_previous
from sonant.errors import ConfigurationError, some_of

MULTIPLIER = 0x9E3779B97F4A7C15 - (1 << 64)  # of the polynomial hash of a word's bytes, modulo 2**64
CHARACTERS_OF_WORDS = 256  # a longer word of a language model is not looked for


class OpenWords:
    """Words of any spelling: those between delimiters, or before units that begin a word.

    The state of a hypothesis is a hash of the bytes of its unfinished word, 0 before its first one.

    Attributes:
        ends: bool (units, units): whether a word ends when the second unit follows the first.
        in_word: bool (units,): whether a unit is part of a word.
        factors, codes: int64 (units,): by which the hash of a word becomes that of the word with one more unit.
        hashes, numbers: int64 (words,): the words of a language model by ascending hash, and their numbers.
        prefixes: int64: ascending hashes of all beginnings of these words.
    """

    def __init__(self, units: SearchUnits, words: Sequence[str] | None = None, unknown: int = 0) -> None:
        count = units.padding + 1
        texts = [text.removeprefix(SPACE) for text in units.texts]
        self.ends = _ends(units)
        outside = torch.ones(count, dtype=torch.bool)
        outside[units.written] = False
        begins = [text.startswith(SPACE) for text in units.texts]
        factors = [0 if begin else _power(len(text)) for begin, text in zip(begins, texts, strict=True)]
        self.factors = torch.tensor(factors)
        self.codes = torch.from_numpy(_hashes(texts)[0])
        self.in_word = ~outside
        self._unknown = unknown
        self.hashes = self.numbers = self.prefixes = torch.zeros(0, dtype=torch.long)
        if words is not None:
            self._look_up(units, words)

    def _look_up(self, units: SearchUnits, words: Sequence[str]) -> None:
        encoded = [(word.lower() if units.vocabulary.lower_case else word).encode() for word in words]
        if not any(units.can_spell(word) for word in words):
            written = [repr(text.decode(errors="replace")) for text in units.texts if text.strip()]
            raise ConfigurationError(
                f"None of the {len(words)} words of the language model can be spelled in the CTC vocabulary: "
                f"{some_of([repr(word) for word in words], 5)}. Are they of another language, or in another case? The "
                f"vocabulary writes {some_of(written, 8)}."
            )
        hashes, prefixes = _hashes(encoded)
        self.hashes, self.numbers = torch.from_numpy(hashes).sort(stable=True)
        self.prefixes = torch.from_numpy(prefixes)

    def to(self, device: torch.device) -> OpenWords:
        """Move the tensors to a device."""
        for name in ("ends", "in_word", "factors", "codes", "hashes", "numbers", "prefixes"):
            setattr(self, name, getattr(self, name).to(device))
        return self

    def word(self, states: Tensor) -> Tensor:
        """Return the number of the word that ends in each state in the language model."""
        place, found = _find(self.hashes, states)
        return torch.where(found, self.numbers[place], self._unknown)

    def may_be_known(self, states: Tensor) -> Tensor:
        """Return whether a word of the language model begins as the unfinished word of each state."""
        return _find(self.prefixes, states)[1]

    def after(self, states: Tensor, ended: Tensor, units: Tensor) -> Tensor:
        """Return the states after a unit, which follows the end of a word where `ended`."""
        return torch.where(ended, 0, states) * self.factors[units] + self.codes[units]


class LexiconWords:
    """Words of a lexicon alone. The state of a hypothesis is the node of its unfinished word in the trie.

    Where the vocabulary has a delimiter, each word is followed by it, or by the end of the recording, whether the
    lexicon spells it so or not. Without one a word may follow each other word.

    Attributes:
        trie: of the spellings; a word is the number of its entry in the lexicon.
        numbers: int64: the number of each entry in the language model.
        look_ahead: float32 (nodes,): the largest score by the language model of a word below each node, at the
            beginning of a text; None without a language model or where it is not wanted.
    """

    def __init__(self, units: SearchUnits, lexicon: Lexicon) -> None:
        spellings = lexicon.spelled(units)
        self.lexicon = lexicon
        self.trie = Trie(spellings, range(len(spellings)), units.padding + 1)
        self.numbers: Tensor | None = None
        self.look_ahead: Tensor | None = None

    def check_hot_words(self, phrases: Sequence[str], units: SearchUnits) -> None:
        """Raise ConfigurationError if words are not in the lexicon; possible where a delimiter separates words."""
        words = dict.fromkeys(word for phrase in phrases for word in phrase.split())
        missing = [word for word in words if units.delimiter is not None and not self.trie.has(units.spell(word))]
        if missing:
            raise ConfigurationError(
                f"The {self.lexicon.name} does not have {len(missing)} of the {len(words)} words of the hot words: "
                f"{some_of([repr(word) for word in missing], 5)}. They could never be written: add them to the "
                "lexicon, or leave them out."
            )

    def number_words(self, words: Sequence[str], unknown: int) -> None:
        """Look up the words in a language model. Raises ConfigurationError if it knows none."""
        known = {word: number for number, word in enumerate(words)}
        numbers = [known.get(word, unknown) for word in self.lexicon.words]
        if all(number == unknown for number in numbers):
            raise ConfigurationError(
                f"The language model knows none of the {len(numbers)} words of the {self.lexicon.name}: "
                f"{some_of([repr(word) for word in self.lexicon.words], 5)}; its own are {some_of(list(words), 8)}. "
                "Are they of another language, or in another case?"
            )
        self.numbers = torch.tensor(numbers)

    def to(self, device: torch.device) -> LexiconWords:
        """Move the tensors to a device."""
        self.trie.to(device)
        self.numbers = None if self.numbers is None else self.numbers.to(device)
        self.look_ahead = None if self.look_ahead is None else self.look_ahead.to(device)
        return self


def _ends(units: SearchUnits) -> Tensor:
    """Return whether a word ends between two units, bool (units, units)."""
    count = units.padding + 1
    inside = torch.zeros(count, dtype=torch.bool)
    inside[units.written] = True
    begins = torch.tensor([text.startswith(SPACE) for text in units.texts])
    ends = inside[:, None] & begins
    if units.vocabulary.bytes:
        return ends
    texts = [text.strip().decode() for text in units.texts]
    firsts, lasts = [text[:1] for text in texts], [text[-1:] for text in texts]

    def each(test: Callable[[str], bool], characters: list[str]) -> Tensor:
        return torch.tensor([bool(character) and test(character) for character in characters])

    # The rule of `is_word_boundary`, for all pairs at once.
    scripts = each(is_without_spaces, lasts)[:, None] | each(is_without_spaces, firsts)
    joined = each(joins_next, lasts)[:, None] | each(joins_previous, firsts)
    return ends | (inside[:, None] & inside & scripts & ~joined)


def _power(exponent: int) -> int:
    """Return a power of the multiplier as int64."""
    value = pow(MULTIPLIER, exponent, 1 << 64)
    return value - (1 << 64) if value >= 1 << 63 else value


def _find(ordered: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the place of each value in an ascending tensor, and whether it is there."""
    place = torch.searchsorted(ordered, values).clamp_(max=len(ordered) - 1)
    return place, ordered[place] == values


def _hashes(texts: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Return the polynomial hash of each text, int64, and those of all beginnings of texts, each once and ascending.

    An empty text, and one that is too long, has 0.
    """
    lengths = np.array([len(text) if len(text) <= CHARACTERS_OF_WORDS else 0 for text in texts])
    hashes = np.zeros(len(texts), np.int64)
    prefixes = [hashes[:0]]
    joined = np.frombuffer(b"".join(texts), np.uint8).astype(np.int64) + 1
    starts = np.cumsum([0, *map(len, texts[:-1])]) if len(texts) else np.zeros(0, np.int64)
    with np.errstate(over="ignore"):
        for place in range(int(lengths.max(initial=0))):
            active = np.flatnonzero(lengths > place)
            hashes[active] = hashes[active] * np.int64(MULTIPLIER) + joined[starts[active] + place]
            prefixes.append(np.unique(hashes[active]))
    return hashes, np.unique(np.concatenate(prefixes))

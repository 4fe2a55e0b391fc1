"""Units of a beam search: the tokens of a CTC vocabulary that spell differently, and their emissions."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from sonant.decoding.ctc_vocabulary import BYTE_TOKENS, CTCVocabulary
from sonant.errors import ConfigurationError, NonFiniteStates
from sonant.layers.packed import Packed

IMPOSSIBLE = float("-inf")
SPACE = b" "


class SearchUnits:
    """The distinct units of a CTC vocabulary.

    Tokens of one spelling are one unit, all delimiters are one, and special tokens, which are never written, count as
    blank: their probabilities are added.

    Attributes:
        tokens: int64 (units,): the token that stands for each unit.
        blank: number of the blank unit.
        delimiter: number of the unit between words; None in a vocabulary without one.
        padding: number of a unit that is never emitted, one behind the last.
        texts: what each unit writes, in UTF-8, with a space for the delimiter and before what begins a word; nothing
            for blank and padding.
    """

    def __init__(self, vocabulary: CTCVocabulary) -> None:
        first = vocabulary.first_with_spelling.copy()
        first[list(vocabulary.special)] = vocabulary.blank
        first[list(vocabulary.delimiters)] = min(vocabulary.delimiters, default=0)
        members: dict[int, list[int]] = {}
        for token, representative in enumerate(first.tolist()):
            members.setdefault(representative, []).append(token)
        self.vocabulary = vocabulary
        self.tokens = torch.tensor(sorted(members))
        numbers = {token: number for number, token in enumerate(self.tokens.tolist())}
        self.blank = numbers[vocabulary.blank]
        self.delimiter = numbers[min(vocabulary.delimiters)] if vocabulary.delimiters else None
        self.padding = len(numbers)
        self.texts = (*map(self._text, numbers), b"")
        self._several = {numbers[token]: tokens for token, tokens in members.items() if len(tokens) > 1}
        self._named = {name: numbers[int(first[token])] for token, name in enumerate(vocabulary.tokens)}
        self._unwritten = {self.blank, self.delimiter}
        self._characters = set(b"".join(self.texts).decode(errors="ignore"))

    def _text(self, token: int) -> bytes:
        vocabulary = self.vocabulary
        if token == vocabulary.blank:
            return b""
        if token in vocabulary.delimiters:
            return SPACE
        if token in vocabulary.bytes:
            return bytes([vocabulary.bytes[token]])
        text = vocabulary.text(token).encode()
        text = text.decode().lower().encode() if vocabulary.lower_case else text
        return SPACE + text if token in vocabulary.initial else text

    @property
    def separates_words(self) -> bool:
        """True if words are separated in the text, by a delimiter or by units that begin a word."""
        return self.delimiter is not None or bool(self.vocabulary.initial)

    @property
    def written(self) -> list[int]:
        """The units that are part of a word."""
        return [unit for unit in range(self.padding) if unit not in self._unwritten]

    def numbers(self, names: Iterable[str]) -> list[int]:
        """Return the units of a spelling, without delimiters at its ends; empty if one is not a unit of words."""
        units = [self._named.get(name, self.padding) for name in names]
        while units and units[-1] == self.delimiter:
            units.pop()
        while units and units[0] == self.delimiter:
            del units[0]
        return [] if any(unit in self._unwritten or unit == self.padding for unit in units) else units

    def spell(self, word: str) -> list[int]:
        """Return the units of a word that is spelled as it is written, in any case; empty if it cannot be spelled."""
        vocabulary = self.vocabulary
        if vocabulary.bytes:
            return self.numbers(BYTE_TOKENS[byte] for byte in word.encode())
        single = [word] if vocabulary.initial else list(word)
        for names in (single, [name.upper() for name in single], [name.lower() for name in single]):
            if found := self.numbers(names):
                return found
        return []

    def can_spell(self, text: str) -> bool:
        """Return whether there are units for all characters of a text, or for all of its phones."""
        if self.vocabulary.bytes:
            return all(BYTE_TOKENS[byte] in self._named for byte in text.encode())
        if len(self.vocabulary.initial) >= len(self.written):
            return all(self.numbers([phone]) for phone in text.split())
        return set(text) <= self._characters | ({" "} if self.separates_words else set())

    def emissions(self, emissions: Packed) -> Packed:
        """Return the log-probabilities of the units, (total, units + 1); the last one is impossible.

        Raises:
            ConfigurationError: there are not as many columns as tokens, or these are no logarithms of probabilities.
            NonFiniteStates: they are NaN, or nothing is possible at some frame.
        """
        values = emissions.values.detach().float()
        if values.ndim != 2 or values.shape[1] != len(self.vocabulary.tokens):
            raise ConfigurationError(
                f"Emissions of shape {tuple(values.shape)} were given; expected (frames, "
                f"{len(self.vocabulary.tokens)}), one column for each token of the CTC vocabulary."
            )
        highest = values.amax(1) if len(values) else values.new_zeros(0)
        if not bool((highest > IMPOSSIBLE).all()):  # also false for NaN
            frame = int((~(highest > IMPOSSIBLE)).nonzero()[0, 0])
            clip = int(emissions.clip_of_step[frame])
            raise NonFiniteStates(
                f"The emissions of recording {clip} are {'NaN' if bool(values[frame].isnan().any()) else 'all -inf'} "
                f"at its frame {frame - int(emissions.offsets[clip])}; expected logarithms of probabilities."
            )
        if bool((highest > 1e-3).any()):
            raise ConfigurationError(
                f"An emission of {float(highest.max()):.3g} was given, which is no logarithm of a probability. Logits "
                "become emissions by log_softmax(-1)."
            )
        units = torch.nn.functional.pad(values[:, self.tokens.to(values.device)], (0, 1), value=IMPOSSIBLE)
        for unit, tokens in self._several.items():
            units[:, unit] = values[:, tokens].logsumexp(1)
        return emissions.with_values(units)

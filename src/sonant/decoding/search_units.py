"""Units of a beam search: the tokens of a CTC vocabulary that spell differently, and their emissions."""

from __future__ import annotations

import torch

from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.errors import ConfigurationError, NonFiniteStates
from sonant.layers.packed import Packed

IMPOSSIBLE = float("-inf")


class SearchUnits:
    """The distinct units of a CTC vocabulary.

    Tokens of one spelling are one unit, all delimiters are one, and special tokens, which are never written, count as
    blank: their probabilities are added.

    Attributes:
        tokens: int64 (units,): the token that stands for each unit.
        blank: number of the blank unit.
        delimiter: number of the unit between words; None in a vocabulary without one.
        padding: number of a unit that is never emitted, one behind the last.
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
        self.of_token = {token: numbers[representative] for token, representative in enumerate(first.tolist())}
        self._several = {numbers[token]: tokens for token, tokens in members.items() if len(tokens) > 1}

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

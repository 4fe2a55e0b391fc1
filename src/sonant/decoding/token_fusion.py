"""Shallow fusion: the scores of a language model for the tokens that a decoder writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.fusion import Fusion
from sonant.decoding.language_model import LanguageModel
from sonant.decoding.prefix_beam.decoder import units_of_model
from sonant.decoding.prefix_beam.units import SPACE, SearchUnits


@dataclass(frozen=True, eq=False)
class FusedTexts:
    """Unfinished texts of a search.

    Attributes:
        states: the language model.
        rows: number of the state of each text, int64 (texts,).
        words: UTF-8 of the last word of each text, which may go on and has no score yet.
    """

    states: Fusion
    rows: Tensor
    words: tuple[bytes, ...]

    def __getitem__(self, rows: Tensor) -> FusedTexts:
        return FusedTexts(self.states, self.rows[rows], tuple(self.words[row] for row in rows.tolist()))


class TokenFusion:
    """A language model of words, which scores each when it is complete, or of the tokens themselves.

    Args:
        vocabulary: of the decoder.
    """

    def __init__(self, lm: LanguageModel[Any], vocabulary: CTCVocabulary) -> None:
        units = SearchUnits(vocabulary)
        self.lm, self._texts = lm, [b""] * len(vocabulary.tokens)
        for token, text in zip(units.tokens.tolist(), units.texts, strict=False):
            self._texts[token] = text
        numbers = units_of_model(lm, units)
        self._of_tokens: Tensor | None = None
        if numbers is not None:
            self._of_tokens = torch.full((len(vocabulary.tokens),), lm.unknown)
            self._of_tokens[units.tokens] = numbers[: len(units.tokens)]
        self._numbers = {word.encode(): number for number, word in enumerate(lm.words)}

    def start(self, count: int) -> FusedTexts:
        """Return the state of so many empty texts."""
        states = Fusion(self.lm)
        return FusedTexts(states, torch.full((count,), states.start, device=self.lm.device), (b"",) * count)

    def extend(self, texts: FusedTexts, tokens: Tensor) -> tuple[Tensor, FusedTexts]:
        """Return what the next tokens, int64 (texts,), add to the score of each text, and the longer texts."""
        states, device = texts.states, tokens.device
        (before,) = states.compact([texts.rows])
        if self._of_tokens is not None:
            scores, rows = states.score(before, self._of_tokens[tokens.cpu()].to(self.lm.device))
            return scores.to(device), FusedTexts(states, rows, texts.words)
        added = [self._texts[token] for token in tokens.tolist()]
        words = list(zip(texts.words, added, strict=True))
        ended = [number for number, (word, more) in enumerate(words) if word and more.startswith(SPACE)]
        longer = tuple(more[1:] if more.startswith(SPACE) else word + more for word, more in words)
        scores, rows = torch.zeros(len(longer), device=self.lm.device), before.clone()
        if ended:
            places = torch.tensor(ended, device=self.lm.device)
            scores[places], rows[places] = states.score(before[places], self._words([words[i][0] for i in ended]))
        return scores.to(device), FusedTexts(states, rows, longer)

    def finish(self, texts: FusedTexts) -> Tensor:
        """Return what the end adds to the score of each text: its last word too, if that has no score yet."""
        rows, scores = texts.rows, torch.zeros(len(texts.words), device=self.lm.device)
        ended = [number for number, word in enumerate(texts.words) if word]
        if ended:
            places = torch.tensor(ended, device=self.lm.device)
            rows = rows.clone()
            scores[places], rows[places] = texts.states.score(
                rows[places], self._words([texts.words[number] for number in ended])
            )
        return scores + texts.states.finish(rows)

    def _words(self, words: list[bytes]) -> Tensor:
        return torch.tensor([self._numbers.get(word, self.lm.unknown) for word in words], device=self.lm.device)

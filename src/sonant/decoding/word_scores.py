"""Scores of the words of texts by a language model, which show its part in what a beam search found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from sonant.decoding.language_model import LanguageModel


@torch.no_grad()
def word_scores(
    texts: Sequence[Sequence[str]], lm: LanguageModel[Any], numbers: Mapping[str, int]
) -> list[list[float]]:
    """Return the natural logarithm of the probability of each word after those before it.

    Args:
        texts: words of each text.
        lm: a model of words.
        numbers: the number of each word in `lm`; others are unknown.
    """
    order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
    scores: list[list[float]] = [[] for _ in texts]
    state = lm.start(len(texts))
    for place in range(max(map(len, texts), default=0)):
        active = [row for row in order if len(texts[row]) > place]
        state = state[torch.arange(len(active), device=lm.device)]
        words = [numbers.get(texts[row][place], lm.unknown) for row in active]
        found, state = lm.score(state, torch.tensor(words, device=lm.device))
        for row, score in zip(active, found.tolist(), strict=True):
            scores[row].append(score)
    return scores

"""Rescoring: the best hypotheses of a search, ranked again by another language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite

from sonant.decoding.hypotheses import Hypothesis
from sonant.decoding.text_scores import TextScorer
from sonant.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Rescoring:
    """Weights of rescoring: log P_CTC + lm_weight * log P_LM + word_score * words.

    The score of the search is replaced, as in wav2vec 2.0's paper and in self-training (arXiv 2010.11430); its
    language model has chosen the hypotheses and counts no more, unless it is given a weight.

    Attributes:
        lm_weight: factor of the log-probability by the new language model.
        word_score: added for each word.
        search_lm_weight: factor of the log-probability by the language model of the search.
    """

    lm_weight: float = 1.0
    word_score: float = 0.0
    search_lm_weight: float = 0.0

    def __post_init__(self) -> None:
        for name in ("lm_weight", "word_score", "search_lm_weight"):
            if not isfinite(getattr(self, name)):
                raise ConfigurationError(f"{name}={getattr(self, name)} was given; expected a finite number.")


def rescore(
    n_best: Sequence[Sequence[Hypothesis]], lm: TextScorer, rescoring: Rescoring | None = None
) -> list[list[Hypothesis]]:
    """Rank the hypotheses of each recording again, best first.

    Args:
        n_best: the hypotheses of each recording, best first; of those with equal scores the first stays first.
        lm: language model; its normalization brings texts to the form that it knows.
        rescoring: weights.

    Returns:
        The same hypotheses, with `score` and `lm_score` of the new model.
    """
    weights = rescoring or Rescoring()
    scores = iter(lm.score([each.text for hypotheses in n_best for each in hypotheses]))
    ranked = []
    for hypotheses in n_best:
        scored = [_rescored(each, next(scores).log_probability, weights) for each in hypotheses]
        ranked.append(sorted(scored, key=lambda each: -each.score))
    return ranked


def _rescored(hypothesis: Hypothesis, lm_score: float, weights: Rescoring) -> Hypothesis:
    score = hypothesis.emission_score + weights.lm_weight * lm_score + weights.word_score * len(hypothesis.words)
    if weights.search_lm_weight:
        if hypothesis.lm_score is None:
            raise ConfigurationError(
                f"search_lm_weight={weights.search_lm_weight} was given, and the hypotheses were found without a "
                "language model. Set search_lm_weight=0, or search with one."
            )
        score += weights.search_lm_weight * hypothesis.lm_score
    return replace(hypothesis, score=score, lm_score=lm_score)

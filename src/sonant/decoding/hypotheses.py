"""Hypotheses: the texts that a beam search over emissions finds, with their scores."""

from __future__ import annotations

from dataclasses import dataclass

from sonant.decoding.results import Word


@dataclass(frozen=True)
class Hypothesis:
    """A text of a recording, as a beam search found it.

    Attributes:
        text: the words, each preceded by its `before`.
        words: with the times of the most probable path that spells this text, and with the mean probability of a
            word's tokens over their frames on that path as confidence, as in a greedy transcript.
        confidence: as in `Transcript`, on the same path.
        units: numbers of the tokens of the text; one delimiter between words, none at the ends.
        score: by which hypotheses are ranked: `emission_score` and the weighted scores of all that is combined with it.
        emission_score: natural logarithm of the probability of the text, summed over the paths that were kept, with
            the silence weight for each frame of silence.
        lm_score: natural logarithm of its probability by the language model, unweighted; None without one.
    """

    text: str
    words: tuple[Word, ...]
    confidence: float
    units: tuple[int, ...]
    score: float
    emission_score: float
    lm_score: float | None = None

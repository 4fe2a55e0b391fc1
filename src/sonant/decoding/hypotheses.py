"""Hypotheses: the texts that a beam search over emissions finds, with their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sonant.decoding.ctc import BestPath, TokenSpan, collapse, confidence_of, path_transcript
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.results import Word, join_words
from sonant.decoding.spacing import is_word_boundary


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

    @property
    def scores(self) -> dict[str, float | None]:
        """The scores by name."""
        return {name: getattr(self, name) for name in ("score", "emission_score", "lm_score")}


class LexiconEnds(NamedTuple):
    """The words of a lexicon on a path.

    Attributes:
        words: of the lexicon.
        entries: int64 (frames,): the word that ends before the unit of each frame, -1 where none does.
        last: the word that ends with the recording, -1 if none does.
    """

    words: Sequence[str]
    entries: NDArray[np.int64]
    last: int

    @property
    def end(self) -> int:
        """The frame before which the last word ends."""
        ends = np.flatnonzero(self.entries >= 0)
        return len(self.entries) if self.last >= 0 else int(ends[-1]) if len(ends) else 0


def hypothesis(
    path: BestPath,
    begins: NDArray[np.bool_],
    vocabulary: CTCVocabulary,
    lexicon: LexiconEnds | None,
    *,
    frame_rate: float,
    score: float,
    emission_score: float,
    lm_score: float | None,
) -> Hypothesis:
    """Return the hypothesis of a path.

    Args:
        path: most probable path of the hypothesis.
        begins: (frames,): whether a unit of the text begins at each frame.
        vocabulary: of the CTC head.
        lexicon: words, where they are not those that the tokens spell.
        frame_rate: frames a second.
        score, emission_score, lm_score: as in `Hypothesis`.
    """
    units = path.tokens[begins].tolist()
    if units and units[-1] in vocabulary.delimiters:
        units.pop()
    if lexicon is None:
        written = path_transcript(
            path, vocabulary, frame_rate=frame_rate, duration_seconds=len(path.tokens) / frame_rate
        )
        return Hypothesis(
            written.text, written.words, written.confidence, tuple(units), score, emission_score, lm_score
        )
    words = lexicon_words(path, vocabulary, lexicon, frame_rate=frame_rate)
    confidence = confidence_of(path, vocabulary, end=lexicon.end)
    return Hypothesis(join_words(words), words, confidence, tuple(units), score, emission_score, lm_score)


def lexicon_words(
    path: BestPath, vocabulary: CTCVocabulary, lexicon: LexiconEnds, *, frame_rate: float
) -> tuple[Word, ...]:
    """Return the words of a lexicon on a path; units behind the last word that has ended are left out."""
    spans = [span for span in collapse(path.tokens, blank=vocabulary.blank) if span.token not in vocabulary.delimiters]
    ends = [*np.flatnonzero(lexicon.entries >= 0).tolist(), len(path.tokens)]
    entries = [*lexicon.entries[lexicon.entries >= 0].tolist(), lexicon.last]
    words: list[Word] = []
    starts = np.searchsorted([span.start_frame for span in spans], [0, *ends]).tolist()
    for (begin, end), entry in zip(pairwise(starts), entries, strict=True):
        group = spans[begin:end]
        if entry >= 0 and group:
            words.append(_word(lexicon.words[entry], words, group, path, vocabulary.space, frame_rate))
    return tuple(words)


def _word(
    text: str, before: Sequence[Word], spans: Sequence[TokenSpan], path: BestPath, space: str, frame_rate: float
) -> Word:
    frames = np.concatenate([np.arange(span.start_frame, span.end_frame) for span in spans])
    joined = bool(before) and is_word_boundary(before[-1].text[-1:], text[:1])
    return Word(
        text=text,
        start_seconds=spans[0].start_frame / frame_rate,
        end_seconds=spans[-1].end_frame / frame_rate,
        confidence=float(path.probabilities[frames].mean()),
        before="" if joined else space or " ",
    )

"""Greedy decoding of connectionist temporal classification (CTC): the best path, and its words with times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.results import Transcript, Word, join_words
from sonant.decoding.spacing import clean_up_spaces, is_word_boundary


@dataclass(frozen=True, eq=False)
class BestPath:
    """The most probable token of each frame.

    Attributes:
        tokens: int64 (frames,).
        probabilities: float32 (frames,), of those tokens.
    """

    tokens: NDArray[np.int64]
    probabilities: NDArray[np.float32]


@dataclass(frozen=True)
class TokenSpan:
    """One token of the decoded sequence.

    Attributes:
        token: number of the token.
        start_frame, end_frame: the frames that it lasts, the end excluded.
    """

    token: int
    start_frame: int
    end_frame: int


def best_path(logits: Tensor) -> BestPath:
    """Take the most probable token of each frame from logits (frames, tokens)."""
    probabilities, tokens = logits.float().softmax(-1).max(-1)
    return BestPath(tokens.cpu().numpy(), probabilities.cpu().numpy())


def join_paths(paths: Sequence[BestPath]) -> BestPath:
    """Concatenate the paths of consecutive frames; without any, the result is empty."""
    if not paths:
        return BestPath(np.empty(0, np.int64), np.empty(0, np.float32))
    return BestPath(
        np.concatenate([path.tokens for path in paths]), np.concatenate([path.probabilities for path in paths])
    )


def collapse(tokens: NDArray[np.int64], *, blank: int) -> list[TokenSpan]:
    """Collapse repeats and remove blanks; equal tokens with a blank between them stay two."""
    changes = np.flatnonzero(tokens[1:] != tokens[:-1]) + 1
    runs = pairwise([0, *changes.tolist(), len(tokens)]) if len(tokens) else ()
    return [TokenSpan(int(tokens[start]), start, end) for start, end in runs if tokens[start] != blank]


def greedy_transcript(
    path: BestPath, vocabulary: CTCVocabulary, *, frame_rate: float, duration_seconds: float
) -> Transcript:
    """Convert a path to words with times and confidences; special tokens are dropped."""
    path = BestPath(vocabulary.first_with_spelling[path.tokens], path.probabilities)
    spans = [span for span in collapse(path.tokens, blank=vocabulary.blank) if span.token not in vocabulary.special]
    words = [_word(before, group, path, vocabulary, frame_rate) for before, group in _words(spans, vocabulary)]
    words = clean_up_spaces(words) if vocabulary.clean_up_spaces else words
    in_word = ~np.isin(path.tokens, list(vocabulary.outside_words))
    probabilities = path.probabilities[in_word] if in_word.any() else path.probabilities
    return Transcript(
        text=join_words(words),
        words=tuple(words),
        duration_seconds=duration_seconds,
        confidence=float(probabilities.mean()) if len(probabilities) else 0.0,
    )


def _words(spans: Sequence[TokenSpan], vocabulary: CTCVocabulary) -> list[tuple[str, list[TokenSpan]]]:
    """Group token spans into words, each with the text before it (a space or nothing)."""
    words: list[tuple[str, list[TokenSpan]]] = []
    delimited, last = True, ""
    for span in spans:
        if span.token in vocabulary.delimiters:
            delimited = True
            continue
        text = vocabulary.text(span.token)
        if delimited or span.token in vocabulary.initial:
            before = "" if not words else vocabulary.space if delimited else " "
            words.append((before, [span]))
        elif is_word_boundary(last[-1:], text[:1]):
            words.append(("", [span]))
        else:
            words[-1][1].append(span)
        delimited, last = False, text or last
    return words


def _word(
    before: str, group: Sequence[TokenSpan], path: BestPath, vocabulary: CTCVocabulary, frame_rate: float
) -> Word:
    frames = np.concatenate([np.arange(span.start_frame, span.end_frame) for span in group])
    text = "".join(vocabulary.text(span.token) for span in group)
    return Word(
        text=text.lower() if vocabulary.lower_case else text,
        start_seconds=group[0].start_frame / frame_rate,
        end_seconds=group[-1].end_frame / frame_rate,
        confidence=float(path.probabilities[frames].mean()),
        before=before,
    )

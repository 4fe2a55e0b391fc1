"""Paths of connectionist temporal classification (CTC): the best one, and the words of any with times."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

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


def path_transcript(
    path: BestPath, vocabulary: CTCVocabulary, *, frame_rate: float, duration_seconds: float
) -> Transcript:
    """Convert a path to words with times and confidences; special tokens are dropped."""
    path = BestPath(vocabulary.first_with_spelling[path.tokens], path.probabilities)
    spans = [span for span in collapse(path.tokens, blank=vocabulary.blank) if span.token not in vocabulary.special]
    words = [_word(before, group, path, vocabulary, frame_rate) for before, group in _words(spans, vocabulary)]
    words = clean_up_spaces(words) if vocabulary.clean_up_spaces else words
    return Transcript(
        text=join_words(words),
        words=tuple(words),
        duration_seconds=duration_seconds,
        confidence=confidence_of(path, vocabulary, end=len(path.tokens) if words else 0),
    )


def confidence_of(path: BestPath, vocabulary: CTCVocabulary, *, end: int) -> float:
    """Return the confidence of the text of a path, as `Transcript` defines it; all words are before the frame `end`."""
    in_word = ~np.isin(path.tokens[:end], list(vocabulary.outside_words))
    probabilities = path.probabilities[:end][in_word] if in_word.any() else path.probabilities
    return float(probabilities.mean()) if len(probabilities) else 0.0


def spelled_text(tokens: Sequence[int], vocabulary: CTCVocabulary) -> str:
    """Return the text that tokens spell, none of which are collapsed."""
    return spelled(tokens, vocabulary).text


def spelled(tokens: Sequence[int], vocabulary: CTCVocabulary) -> Transcript:
    """Return the transcript that tokens spell, none of which are collapsed; its times mean nothing."""
    path = np.full(2 * len(tokens), vocabulary.blank, np.int64)  # a blank between each two
    path[::2] = tokens
    whole = BestPath(path, np.ones(len(path), np.float32))
    return path_transcript(whole, vocabulary, frame_rate=1.0, duration_seconds=0.0)


class _Piece(NamedTuple):
    """A piece of text, and the tokens that spell it: several if they are bytes of one character."""

    text: str
    spans: list[TokenSpan]


def _pieces(spans: Sequence[TokenSpan], vocabulary: CTCVocabulary) -> Iterator[_Piece]:
    """Yield the pieces of a sequence of tokens; bytes that are no UTF-8 are dropped, as ByT5's tokenizer does."""
    decoder = getincrementaldecoder("utf-8")("ignore")
    pending: list[TokenSpan] = []
    for span in spans:
        value = vocabulary.bytes.get(span.token)
        if value is None or span.token in vocabulary.delimiters:
            decoder.reset()
            pending.clear()
            yield _Piece(vocabulary.text(span.token), [span])
            continue
        text = decoder.decode(bytes([value]))
        pending.append(span)
        if text:
            yield _Piece(text, pending[-len(text.encode()) :])
            pending.clear()


def _words(spans: Sequence[TokenSpan], vocabulary: CTCVocabulary) -> list[tuple[str, list[_Piece]]]:
    """Group tokens into words, each with the text before it (a space or nothing)."""
    words: list[tuple[str, list[_Piece]]] = []
    delimited, last = True, ""
    for piece in _pieces(spans, vocabulary):
        token, text = piece.spans[0].token, piece.text
        if token in vocabulary.delimiters:
            delimited = True
            continue
        is_mark = token in vocabulary.marks
        if delimited or is_mark or token in vocabulary.initial:
            before = "" if not words else vocabulary.space if delimited else " "
            words.append((before, [piece]))
        elif is_word_boundary(last[-1:], text[:1]):
            words.append(("", [piece]))
        else:
            words[-1][1].append(piece)
        delimited, last = is_mark, text or last
    return words


def _word(before: str, pieces: Sequence[_Piece], path: BestPath, vocabulary: CTCVocabulary, frame_rate: float) -> Word:
    group = [span for piece in pieces for span in piece.spans]
    frames = np.concatenate([np.arange(span.start_frame, span.end_frame) for span in group])
    text = "".join(piece.text for piece in pieces)
    return Word(
        text=text.lower() if vocabulary.lower_case else text,
        start_seconds=group[0].start_frame / frame_rate,
        end_seconds=group[-1].end_frame / frame_rate,
        confidence=float(path.probabilities[frames].mean()),
        before=before,
    )

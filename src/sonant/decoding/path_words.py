"""The words of a path that grows, each spelled when it is settled: the cost does not grow with the path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sonant.data.slots import is_mark
from sonant.decoding.ctc import BestPath, path_transcript
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.hypotheses import LexiconEnds, lexicon_words
from sonant.decoding.results import Word

Array: TypeAlias = NDArray[Any]
APOSTROPHE = "'"  # a word of its own changes the space before the next one


class _Frames(NamedTuple):
    """Frames of a path, each (frames,), of which some that write nothing may be missing.

    Attributes:
        numbers: int64, ascending.
        tokens, probabilities: as in `BestPath`.
        entries: int32: the word of a lexicon that ends before the token of each frame, -1 where none does.
    """

    numbers: Array
    tokens: Array
    probabilities: Array
    entries: Array

    def at(self, places: slice | Array) -> _Frames:
        """Return some of the frames."""
        return _Frames(*(each[places] for each in self))


class PathWords:
    """The words of a path whose frames come in parts, in the end those of the whole path.

    A word is settled when the next one begins. From the last word that is settled on, the path is kept, so that what
    follows is spelled as behind it.

    Args:
        vocabulary: of the CTC head.
        frame_rate: frames a second.
        lexicon: its words, where they are not those that the tokens spell.
    """

    def __init__(self, vocabulary: CTCVocabulary, frame_rate: float, lexicon: Sequence[str] | None = None) -> None:
        self._vocabulary, self._frame_rate, self._lexicon = vocabulary, frame_rate, lexicon
        kinds = (np.int64, np.int64, np.float32, np.int32)
        self._kept = _Frames(*(np.empty(0, kind) for kind in kinds))
        self._settled, self._frames = 0, 0  # words of what is kept; frames of the whole path

    def append(self, path: BestPath, entries: Array | None = None) -> tuple[Word, ...]:
        """Return the words that more frames settle."""
        frames = self._followed_by(path, entries)
        words = self._spelled(frames)
        settled = self._told(words[self._settled : -1], frames)
        self._frames += len(path.tokens)
        self._keep(frames, words)
        return settled

    def ahead(self, path: BestPath, entries: Array | None = None) -> tuple[Word, ...]:
        """Return the words behind those that are settled, if the path went on and ended so."""
        frames = self._followed_by(path, entries)
        return self._told(self._spelled(frames)[self._settled :], frames)

    def _followed_by(self, path: BestPath, entries: Array | None) -> _Frames:
        count = len(path.tokens)
        numbers = np.arange(self._frames, self._frames + count)
        entries = np.full(count, -1, np.int32) if entries is None else entries
        more = _Frames(numbers, path.tokens, path.probabilities, entries)
        return _Frames(*(np.concatenate([before, behind]) for before, behind in zip(self._kept, more, strict=True)))

    def _spelled(self, frames: _Frames) -> tuple[Word, ...]:
        """Return words whose times are places in the frames."""
        path = BestPath(frames.tokens, frames.probabilities)
        if self._lexicon is not None:
            return lexicon_words(path, self._vocabulary, LexiconEnds(self._lexicon, frames.entries, -1), frame_rate=1.0)
        return path_transcript(path, self._vocabulary, frame_rate=1.0, duration_seconds=0.0).words

    def _told(self, words: Sequence[Word], frames: _Frames) -> tuple[Word, ...]:
        """Return words with their times, without marks of slots."""
        return tuple(
            replace(
                word,
                start_seconds=int(frames.numbers[int(word.start_seconds)]) / self._frame_rate,
                end_seconds=(int(frames.numbers[int(word.end_seconds) - 1]) + 1) / self._frame_rate,
            )
            for word in words
            if not (self._vocabulary.marks and is_mark(word.text))
        )

    def _keep(self, frames: _Frames, words: Sequence[Word]) -> None:
        """Keep the frames from the last settled word on; of those at the end that write nothing, what separates."""
        settled = max(len(words) - 1, 0)
        first = next((number for number in reversed(range(settled)) if words[number].text != APOSTROPHE), 0)
        self._settled = settled - first
        if settled:
            frames = frames.at(slice(int(words[first].start_seconds), None))
        written = np.flatnonzero(~np.isin(frames.tokens, list(self._vocabulary.outside_words)))
        end = int(written[-1]) + 1 if len(written) else 0
        delimiters = np.flatnonzero(np.isin(frames.tokens[end:], list(self._vocabulary.delimiters)))
        ended = np.flatnonzero(frames.entries[end:] >= 0)
        behind = np.unique(np.concatenate([np.arange(min(1, len(frames.tokens) - end)), delimiters[:1], ended]))
        self._kept = frames.at(np.concatenate([np.arange(end), end + behind]))

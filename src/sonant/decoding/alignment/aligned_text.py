"""Results of alignment: a text with the times and scores of its lines, words and characters."""

from dataclasses import dataclass
from math import exp
from typing import Protocol

from sonant.decoding.results import Word, WordSequence


class TimedText(Protocol):
    """A text with its times: a line, a word, a character, or a subtitle."""

    @property
    def text(self) -> str: ...
    @property
    def start_seconds(self) -> float: ...
    @property
    def end_seconds(self) -> float: ...
    @property
    def confidence(self) -> float: ...


@dataclass(frozen=True)
class AlignedCharacter:
    """One character, or a subword or phone.

    Attributes:
        text: as the model spells it.
        start_seconds, end_seconds: begin of its first frame, end of its last one.
        score: mean log-probability of its units over their frames, at most 0.
    """

    text: str
    start_seconds: float
    end_seconds: float
    score: float

    @property
    def confidence(self) -> float:
        """The probability whose logarithm is the score."""
        return exp(self.score)


@dataclass(frozen=True)
class AlignedWord(Word):
    """One word, as it was written; `confidence` is the probability whose logarithm is the score.

    Attributes:
        score: mean log-probability of its units over their frames, at most 0.
        characters: as the model spells them.
        is_spelled: False if a star stands for the word or a part of it.
    """

    score: float = 0.0
    characters: tuple[AlignedCharacter, ...] = ()
    is_spelled: bool = True


@dataclass(frozen=True)
class AlignedSegment(WordSequence[AlignedWord]):
    """One line of the text: the words as they were written, with single spaces."""

    @property
    def score(self) -> float:
        """The mean score of the words."""
        return sum(word.score for word in self.words) / len(self.words)


@dataclass(frozen=True)
class Alignment:
    """A text aligned with a recording.

    Attributes:
        segments: the lines of the text that have words.
        duration_seconds: duration of the recording.
        score: sum over the frames, without those of stars, of the path's log-probability less that of the most probable
            token, divided by the number of units; at most 0, and near 0 where the model would have written this text.
        is_match: False if the score is one that texts of other recordings have.
        unspelled: words, or parts of them, that the model cannot spell, for which a star was aligned.
        normalization: form in which the words were spelled, see `sonant.data.text_normalization.normalize_text`.
    """

    segments: tuple[AlignedSegment, ...]
    duration_seconds: float
    score: float
    is_match: bool
    unspelled: tuple[str, ...]
    normalization: str

    @property
    def words(self) -> tuple[AlignedWord, ...]:
        """The words of all segments."""
        return tuple(word for segment in self.segments for word in segment.words)

    @property
    def text(self) -> str:
        """The segments, one in each line."""
        return "\n".join(segment.text for segment in self.segments)

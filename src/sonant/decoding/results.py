"""Results of decoding a recording: words and speakers, with their times."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """One word; one phoneme where the model writes phonemes; one character in scripts without spaces.

    Attributes:
        text: as the model's vocabulary spells it.
        start_seconds, end_seconds: from its first frame to the end of its last one.
        confidence: mean probability of its frames, 0 to 1.
        before: what is written between the word before and this one: a space, or nothing in scripts without spaces.
    """

    text: str
    start_seconds: float
    end_seconds: float
    confidence: float
    before: str = " "


def written(words: Sequence[Word]) -> str:
    """The text of consecutive words, without what is written before the first."""
    return "".join(word.before + word.text if number else word.text for number, word in enumerate(words)).strip()


@dataclass(frozen=True)
class Transcript:
    """The transcript of a recording.

    Attributes:
        text: the words, each behind its `before`.
        words: the words in order.
        duration_seconds: duration of the recording.
        confidence: mean probability of the frames whose token is part of a word, 0 to 1; of all frames where none is.
    """

    text: str
    words: tuple[Word, ...]
    duration_seconds: float
    confidence: float


@dataclass(frozen=True)
class SpeakerTurn:
    """One speaker for a while; turns of several may overlap.

    Attributes:
        speaker: "speaker_0", "speaker_1" ... in the order in which they are first heard; good for this recording alone.
        start_seconds, end_seconds: within the recording.
    """

    speaker: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class Verification:
    """The result of comparing the voices of two recordings.

    Attributes:
        score: cosine of the two vectors, -1 to 1.
        threshold: lowest score that means the same voice.
    """

    score: float
    threshold: float

    @property
    def same(self) -> bool:
        """Return whether it is the same voice."""
        return self.score >= self.threshold

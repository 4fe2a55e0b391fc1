"""What is found in a recording: words and speakers, with their times."""

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
    """What was said.

    Attributes:
        text: the words, each behind its `before`.
        words: in order.
        duration_seconds: of the recording.
        confidence: mean probability of the frames that say something, 0 to 1; of all frames where none does.
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
    """Whether two recordings are of one voice.

    Attributes:
        score: cosine of the two vectors, -1 to 1.
        threshold: from which on a score means the same voice.
    """

    score: float
    threshold: float

    @property
    def same(self) -> bool:
        """Whether it is the same voice."""
        return self.score >= self.threshold

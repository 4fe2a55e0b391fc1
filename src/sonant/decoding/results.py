"""Results of decoding a recording: words, transcripts, speaker turns, verification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from sonant.decoding.hypotheses import Hypothesis


@dataclass(frozen=True)
class Word:
    """One word: a phoneme where the vocabulary is phonemes, a character in scripts without spaces.

    Attributes:
        text: in the spelling of the CTC vocabulary.
        start_seconds, end_seconds: begin of its first frame, end of its last one.
        confidence: mean probability of its tokens over its frames, 0 to 1.
        before: text between the previous word and this one: a space, or nothing in scripts without spaces.
        lm_score: natural logarithm of its probability by the language model, unweighted; None without one.
    """

    text: str
    start_seconds: float
    end_seconds: float
    confidence: float
    before: str = " "
    lm_score: float | None = None


AnyWord = TypeVar("AnyWord", bound=Word)


@dataclass(frozen=True)
class WordSequence(Generic[AnyWord]):
    """Consecutive words of a recording.

    Attributes:
        text: of the words, with spaces where the script uses them.
        words: at least one.
    """

    text: str
    words: tuple[AnyWord, ...]

    @property
    def start_seconds(self) -> float:
        """The start of the first word."""
        return self.words[0].start_seconds

    @property
    def end_seconds(self) -> float:
        """The end of the last word."""
        return self.words[-1].end_seconds

    @property
    def confidence(self) -> float:
        """The mean confidence of the words."""
        return sum(word.confidence for word in self.words) / len(self.words)


def join_words(words: Sequence[Word]) -> str:
    """Join consecutive words to a text, without `before` of the first."""
    return "".join(word.before + word.text if number else word.text for number, word in enumerate(words)).strip()


@dataclass(frozen=True)
class SpokenSlot:
    """A named part of a transcript, such as a city or a date.

    Attributes:
        name: of the slot.
        text: its words.
        start_seconds, end_seconds: begin of its first word, end of its last one.
    """

    name: str
    text: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class Transcript:
    """The transcript of a recording.

    Attributes:
        text: the words, each preceded by its `before`.
        words: the words in order.
        duration_seconds: duration of the recording.
        confidence: mean probability, from 0 to 1, over the frames whose token is part of a word. Of an empty text, over
            all frames: how probable it is that nothing is said. 0 without frames.
        alternatives: of a beam search: as many texts as were asked for, best first, with this one as the first; the
            marks of slots stay in them.
        slots: named parts of the text, of a model that was trained with slots.
    """

    text: str
    words: tuple[Word, ...]
    duration_seconds: float
    confidence: float
    alternatives: tuple[Hypothesis, ...] = ()
    slots: tuple[SpokenSlot, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the transcript as JSON values; alternatives of a beam search are texts with scores, without words."""

        def present(values: Mapping[str, Any]) -> dict[str, Any]:
            return {name: value for name, value in values.items() if value is not None}

        found = vars(self) | {"words": tuple(present(vars(word)) for word in self.words)}
        del found["alternatives"], found["slots"]
        if self.slots:
            found["slots"] = tuple(map(vars, self.slots))
        if self.alternatives:
            found["alternatives"] = tuple(
                present({"text": each.text, "confidence": each.confidence, **each.scores}) for each in self.alternatives
            )
        return found


@dataclass(frozen=True)
class SpeakerTurn:
    """One speaker, speaking without interruption; turns of different speakers may overlap.

    Attributes:
        speaker: the name of an enrolled person, or "speaker_0", "speaker_1" ... in order of first appearance, valid
            within this recording only.
        start_seconds, end_seconds: within the recording.
    """

    speaker: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class Verification:
    """The result of comparing the voices of two recordings.

    Attributes:
        score: cosine similarity of the two speaker embeddings, -1 to 1, after the calibration's normalization.
        threshold: lowest score that counts as the same speaker; None if no threshold is known for the model.
        probability: that it is one voice, if that was as likely as not before; None without a calibration.
        basis: a sentence on the data that the threshold was set on.
    """

    score: float
    threshold: float | None
    probability: float | None = None
    basis: str = ""

    @property
    def same(self) -> bool | None:
        """True if the score reaches the threshold; None if no threshold is known."""
        return None if self.threshold is None else self.score >= self.threshold

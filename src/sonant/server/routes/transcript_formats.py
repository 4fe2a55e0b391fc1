"""Transcripts in the response formats of OpenAI."""

import math
import zlib
from collections.abc import Collection, Sequence
from itertools import groupby
from typing import Any, Literal

from pydantic import BaseModel, Field

from sonant.decoding.hypotheses import Hypothesis
from sonant.decoding.results import SpeakerTurn, Transcript, Word
from sonant.decoding.subtitles import Subtitle, segments
from sonant.server.routes.documentation import UsedSeconds
from sonant.server.routes.finite_json import finite_json

TranscriptFormat = Literal["json", "text", "verbose_json", "diarized_json", "srt", "vtt"]
Granularity = Literal["word", "segment"]

MEDIA_TYPES = {"text": "text/plain", "srt": "application/x-subrip", "vtt": "text/vtt"}


class TimedWord(BaseModel):
    word: str
    start: float
    end: float


class TimedSegment(BaseModel):
    id: int
    seek: int = Field(description="Where it begins, in hundredths of a second.")
    start: float
    end: float
    text: str
    tokens: list[int] = Field(description="Empty: the models here write letters, not tokens.")
    temperature: float = Field(description="0: the most probable letters are taken.")
    avg_logprob: float = Field(description="Logarithm of the mean probability of its frames.")
    compression_ratio: float = Field(description="Of its text by zlib: far above 2 where words repeat.")
    no_speech_prob: float = Field(description="0: a segment is where words were found.")


class SpokenSegment(BaseModel):
    """Words of one speaker without a pause between them, in `diarized_json`."""

    type: Literal["transcript.text.segment"]
    id: str
    start: float
    end: float
    text: str
    speaker: str = Field(description="A name for this recording only, by order of appearance.")


class LogProbability(BaseModel):
    token: str = Field(description="A word, with the space before it: these models have no larger tokens than letters.")
    bytes: list[int]
    logprob: float = Field(description="Logarithm of the mean probability of its letters.")


class ScoredText(BaseModel):
    """One of the most likely texts, with `n_best`."""

    text: str
    score: float = Field(
        description="By which they are ranked: `emission_score` and the weighted scores of the others."
    )
    emission_score: float = Field(description="Logarithm of the text's probability by the head of the model.")
    lm_score: float | None = Field(description="Logarithm of its probability by the language model, if there is one.")


class TimedSlot(BaseModel):
    """A named part of the text."""

    name: str
    text: str
    start: float
    end: float


class ChannelTranscription(BaseModel):
    """One channel of a transcript: `json` has its text, `verbose_json` all fields."""

    channel: int
    text: str
    task: Literal["transcribe"] | None = None
    language: str | None = None
    duration: float | None = None
    segments: list[TimedSegment] | None = None
    words: list[TimedWord] | None = None
    alternatives: list[ScoredText] | None = None
    slots: list[TimedSlot] | None = None


class Transcription(BaseModel):
    """A transcript: `json` has `text` and `usage`, `diarized_json` also `duration` and `segments`."""

    text: str
    usage: UsedSeconds
    task: Literal["transcribe"] | None = None
    language: str | None = Field(None, description="As the request named it, else that of the model, else `unknown`.")
    duration: float | None = None
    segments: list[TimedSegment] | list[SpokenSegment] | None = None
    words: list[TimedWord] | None = None
    logprobs: list[LogProbability] | None = Field(None, description="With `include=logprobs`, of `json`.")
    alternatives: list[ScoredText] | None = Field(None, description="With `n_best`: the most likely texts, best first.")
    slots: list[TimedSlot] | None = Field(
        None, description="Named parts of the text, of a model that was trained with slots, if there are any."
    )
    channels: list[ChannelTranscription] | None = Field(
        None, description="With `channel=all`, in place of what describes the whole."
    )


def verbose(transcript: Transcript, granularities: Collection[Granularity], language: str | None) -> dict[str, Any]:
    """Make the body of `verbose_json`, without usage."""
    body: dict[str, Any] = {
        "task": "transcribe",
        "language": language or "unknown",
        "duration": round(transcript.duration_seconds, 4),
        "text": transcript.text,
    }
    if "segment" in granularities:
        body["segments"] = [_segment(number, segment) for number, segment in enumerate(segments(transcript.words))]
    if "word" in granularities:
        body["words"] = [_word(word) for word in transcript.words]
    return body


def timed_slots(transcript: Transcript) -> dict[str, Any]:
    """Make the field `slots`, if there are any."""
    found = [
        {"name": slot.name, "text": slot.text, "start": _time(slot.start_seconds), "end": _time(slot.end_seconds)}
        for slot in transcript.slots
    ]
    return {"slots": found} if found else {}


def scored(alternative: Hypothesis) -> dict[str, Any]:
    """Make an entry of `alternatives`."""
    return {"text": alternative.text} | {
        name: None if value is None else round(value, 4) for name, value in alternative.scores.items()
    }


def spoken(words: Sequence[Word], turns: Sequence[SpeakerTurn]) -> list[dict[str, Any]]:
    """Make the segments of `diarized_json`: each word goes to who speaks longest during it, or nearest to it."""
    by_speaker = groupby(words, key=lambda word: speaker_of(word, turns))
    found = [(speaker, segment) for speaker, own in by_speaker for segment in segments(list(own))]
    return [
        {
            "type": "transcript.text.segment",
            "id": f"segment_{number}",
            "start": _time(segment.start_seconds),
            "end": _time(segment.end_seconds),
            "text": segment.text,
            "speaker": speaker,
        }
        for number, (speaker, segment) in enumerate(found)
    ]


def speaker_of(word: Word, turns: Sequence[SpeakerTurn]) -> str:
    """Return who says a word; without any turn, the first speaker."""

    def overlap(turn: SpeakerTurn) -> float:  # negative: the distance
        return min(word.end_seconds, turn.end_seconds) - max(word.start_seconds, turn.start_seconds)

    return max(turns, key=overlap).speaker if turns else "speaker_0"


def log_probabilities(words: Sequence[Word]) -> list[dict[str, Any]]:
    """Make the `logprobs` of `json`, with a word for a token."""
    tokens = [word.before + word.text if number else word.text for number, word in enumerate(words)]
    return [
        {"token": token, "bytes": list(token.encode()), "logprob": _log(word.confidence)}
        for token, word in zip(tokens, words, strict=True)
    ]


def _log(probability: float) -> float:
    return round(math.log(max(probability, 1e-6)), 4)


def _word(word: Word) -> dict[str, Any]:
    return {"word": word.text, "start": _time(word.start_seconds), "end": _time(word.end_seconds)}


def _segment(number: int, segment: Subtitle) -> dict[str, Any]:
    text = segment.text.encode()
    return {
        "id": number,
        "seek": int(segment.start_seconds * 100),
        "start": _time(segment.start_seconds),
        "end": _time(segment.end_seconds),
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": _log(segment.confidence),
        "compression_ratio": round(len(text) / len(zlib.compress(text)), 4),
        "no_speech_prob": 0.0,
    }


def _time(seconds: float) -> float:
    return round(seconds, 3)


def delta(text: str) -> bytes:
    """Make the event for more text."""
    return _event({"type": "transcript.text.delta", "delta": text})


def spoken_segment(segment: dict[str, Any]) -> bytes:
    """Make the event for a segment of `diarized_json`."""
    return _event(segment)


def done(content: dict[str, Any]) -> bytes:
    """Make the last event, with the text and the usage."""
    return _event({"type": "transcript.text.done", **content})


def _event(content: dict[str, Any]) -> bytes:
    return b"data: " + finite_json(content) + b"\n\n"

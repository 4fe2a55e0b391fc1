"""Transcripts in the response formats of OpenAI."""

import math
import zlib
from collections.abc import Collection
from typing import Any, Literal

import orjson
from pydantic import BaseModel, Field

from sonant.decoding.results import Transcript, Word
from sonant.decoding.subtitles import Segment
from sonant.server.routes.documentation import UsedSeconds

TranscriptFormat = Literal["json", "text", "verbose_json", "srt", "vtt"]
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


class ChannelTranscription(BaseModel):
    """One channel of a transcript: `json` has its text, `verbose_json` all fields."""

    channel: int
    text: str
    task: Literal["transcribe"] | None = None
    language: str | None = None
    duration: float | None = None
    segments: list[TimedSegment] | None = None
    words: list[TimedWord] | None = None


class Transcription(BaseModel):
    """A transcript: `json` has `text` and `usage`, `verbose_json` all fields."""

    text: str
    usage: UsedSeconds
    task: Literal["transcribe"] | None = None
    language: str | None = Field(None, description="As the request named it, else that of the model, else `unknown`.")
    duration: float | None = None
    segments: list[TimedSegment] | None = None
    words: list[TimedWord] | None = None
    channels: list[ChannelTranscription] | None = Field(
        None, description="With `channel=all`, in place of what describes the whole."
    )


def verbose(
    transcript: Transcript, segments: list[Segment], granularities: Collection[Granularity], language: str | None
) -> dict[str, Any]:
    """Make the body of `verbose_json`, without usage."""
    body: dict[str, Any] = {
        "task": "transcribe",
        "language": language or "unknown",
        "duration": round(transcript.duration_seconds, 4),
        "text": transcript.text,
    }
    if "segment" in granularities:
        body["segments"] = [_segment(number, segment) for number, segment in enumerate(segments)]
    if "word" in granularities:
        body["words"] = [_word(word) for word in transcript.words]
    return body


def _word(word: Word) -> dict[str, Any]:
    return {"word": word.text, "start": _time(word.start_seconds), "end": _time(word.end_seconds)}


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    text = segment.text.encode()
    return {
        "id": number,
        "seek": int(segment.start_seconds * 100),
        "start": _time(segment.start_seconds),
        "end": _time(segment.end_seconds),
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": round(math.log(max(segment.confidence, 1e-6)), 4),
        "compression_ratio": round(len(text) / len(zlib.compress(text)), 4),
        "no_speech_prob": 0.0,
    }


def _time(seconds: float) -> float:
    return round(seconds, 3)


def delta(text: str) -> bytes:
    """Make the event for more text."""
    return _event({"type": "transcript.text.delta", "delta": text})


def done(text: str, usage: dict[str, Any]) -> bytes:
    """Make the last event."""
    return _event({"type": "transcript.text.done", "text": text, "usage": usage})


def _event(content: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(content) + b"\n\n"

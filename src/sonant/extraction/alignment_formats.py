"""Text formats of alignments: TextGrid, CTM, JSON, SubRip and WebVTT."""

from collections.abc import Sequence
from typing import Any, Literal

from sonant.decoding.alignment.aligned_text import AlignedCharacter, AlignedSegment, AlignedWord, Alignment, TimedText
from sonant.decoding.alignment.interval_files import ctm, textgrid
from sonant.decoding.subtitles import segments, srt, vtt
from sonant.extraction.destination import AlignmentFormat
from sonant.extraction.names import as_json, without_ending
from sonant.extraction.result_stores import Result
from sonant.extraction.text_formats import Render

Level = Literal["segments", "words", "characters"]


def alignment_text(kind: AlignmentFormat, level: Level | None) -> Render:
    """Return a function from a result to its alignment; `level` as in `formatted`."""

    def render(result: Result) -> str:
        entry, outcome = result
        if kind == "json":
            return as_json({**entry.facts, **as_mapping(outcome.value, level)}) + "\n"
        return formatted(outcome.value, kind, level, name=entry.segment_name, channel=int(entry.channel or 0))

    return render


def formatted(
    alignment: Alignment, kind: AlignmentFormat, level: Level | None, *, name: str = "audio", channel: int = 0
) -> str:
    """Format an alignment.

    Args:
        level: what has times; None: all levels in a TextGrid and in JSON, words in CTM, and in subtitles lines, cut to
            what fits on a screen.
        name, channel: of the recording, for CTM.
    """
    match kind:
        case "json":
            return as_json(as_mapping(alignment, level)) + "\n"
        case "ctm":
            return ctm(of_level(alignment, level or "words"), without_ending(name), channel)
        case "textgrid":
            several = len(alignment.segments) > 1
            every: tuple[Level, ...] = ("segments", "words", "characters")
            levels = (level,) if level else every[not several :]
            return textgrid({each: of_level(alignment, each) for each in levels}, alignment.duration_seconds)
    titles: Sequence[TimedText] = (
        of_level(alignment, level)
        if level
        else [title for line in alignment.segments for title in segments(line.words)]
    )
    return srt(titles) if kind == "srt" else vtt(titles)


def of_level(alignment: Alignment, level: Level) -> Sequence[TimedText]:
    """Return the lines, words or characters of an alignment."""
    match level:
        case "segments":
            return alignment.segments
        case "words":
            return alignment.words
    return [character for word in alignment.words for character in word.characters]


def as_mapping(alignment: Alignment, level: Level | None) -> dict[str, Any]:
    """Return an alignment for JSON; times of what is finer than `level` are left out."""
    return {
        "text": alignment.text,
        "duration_seconds": round(alignment.duration_seconds, 3),
        "score": round(alignment.score, 4),
        "is_match": alignment.is_match,
        "unspelled": list(alignment.unspelled),
        "normalization": alignment.normalization,
        "segments": [_segment(segment, level) for segment in alignment.segments],
    }


def _segment(segment: AlignedSegment, level: Level | None) -> dict[str, Any]:
    words = {} if level == "segments" else {"words": [_word(word, level) for word in segment.words]}
    return {**_timed(segment, segment.score), **words}


def _word(word: AlignedWord, level: Level | None) -> dict[str, Any]:
    timed = {**_timed(word, word.score), "is_spelled": word.is_spelled}
    return (
        timed if level == "words" else {**timed, "characters": [_timed(each, each.score) for each in word.characters]}
    )


def _timed(item: AlignedSegment | AlignedWord | AlignedCharacter, score: float) -> dict[str, Any]:
    return {
        "text": item.text,
        "start_seconds": round(item.start_seconds, 3),
        "end_seconds": round(item.end_seconds, 3),
        "score": round(score, 4),
    }

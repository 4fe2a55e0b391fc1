"""Subtitles: words grouped into segments that fit on a screen, as SubRip and WebVTT."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from unicodedata import combining, east_asian_width

from sonant.decoding.alignment.aligned_text import TimedText
from sonant.decoding.results import Word, WordSequence, join_words

PAUSE_SECONDS = 0.8  # of silence between words, that begins a new segment
LONGEST_SECONDS = 7.0  # the usual limit for one title
LONGEST_CHARACTERS = 84  # two lines of 42; wide characters (Chinese, Japanese) count as two
SHORTEST_PAUSE_SECONDS = 0.2  # between words, at which a long segment is preferably split


@dataclass(frozen=True)
class Subtitle(WordSequence[Word]):
    """One subtitle."""


def segments(words: Sequence[Word]) -> list[Subtitle]:
    """Group words into segments: a new one begins after a pause, and a long one is split at its widest gap.

    A single word may be longer than the limits.
    """
    groups: list[list[Word]] = []
    for word in words:
        if groups and word.start_seconds - groups[-1][-1].end_seconds < PAUSE_SECONDS:
            groups[-1].append(word)
        else:
            groups.append([word])
    return [Subtitle(join_words(part), tuple(part)) for group in groups for part in _cut(group)]


def _cut(words: list[Word]) -> Iterable[list[Word]]:
    """Split words into pieces within the limits: as long as possible, ended at the widest gap of the second half."""
    while words:
        fits = 1
        while fits < len(words) and _fits(words[: fits + 1]):
            fits += 1
        if fits < len(words):
            earliest = max(1, (fits + 1) // 2)
            gaps = {end: words[end].start_seconds - words[end - 1].end_seconds for end in range(earliest, fits + 1)}
            widest = max(gaps, key=lambda end: (gaps[end], end))
            fits = widest if gaps[widest] >= SHORTEST_PAUSE_SECONDS else fits
        yield words[:fits]
        words = words[fits:]


def _fits(words: Sequence[Word]) -> bool:
    spoken = words[-1].end_seconds - words[0].start_seconds
    return spoken <= LONGEST_SECONDS and _columns(join_words(words)) <= LONGEST_CHARACTERS


def _columns(text: str) -> int:
    """Width of a text on a screen, in Latin letters."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(each) else 2 if east_asian_width(each) in "WF" else 1 for each in text)


def srt(segments: Iterable[TimedText]) -> str:
    """Format segments as SubRip: numbered titles, times with a comma."""
    return "".join(
        f"{number}\n{_clock(each.start_seconds, ',')} --> {_clock(each.end_seconds, ',')}\n{each.text}\n\n"
        for number, each in enumerate(segments, start=1)
    )


def vtt(segments: Iterable[TimedText]) -> str:
    """Format segments as WebVTT; `&`, `<` and `>` are escaped."""
    cues = (
        f"{_clock(each.start_seconds, '.')} --> {_clock(each.end_seconds, '.')}\n{_escaped(each.text)}\n\n"
        for each in segments
    )
    return "".join(["WEBVTT\n\n", *cues])


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, point: str) -> str:
    """Format a time as 12:34:56,789."""
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02}:{minutes:02}:{whole:02}{point}{milliseconds:03}"

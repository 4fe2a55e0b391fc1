"""Files of timed intervals: Praat's TextGrid, and the CTM of NIST."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sonant.decoding.alignment.aligned_text import TimedText

LEAST_SECONDS = 1e-4  # shortest gap between two intervals that is an interval of its own


@dataclass(frozen=True)
class _Interval:
    text: str
    start_seconds: float
    end_seconds: float


def textgrid(tiers: Mapping[str, Sequence[TimedText]], duration_seconds: float) -> str:
    """Format tiers, intervals in order by name, as a TextGrid in Praat's long text format.

    Gaps become intervals with empty text. Source: Praat's manual, "TextGrid file formats".
    """
    end = max([duration_seconds, *(each.end_seconds for intervals in tiers.values() for each in intervals)])
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {_number(end)}",
        "tiers? <exists>",
        f"size = {len(tiers)}",
        "item []:",
    ]
    for number, (name, intervals) in enumerate(tiers.items(), start=1):
        filled = _without_gaps(intervals, end)
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f"        name = {_quoted(name)}",
            "        xmin = 0",
            f"        xmax = {_number(end)}",
            f"        intervals: size = {len(filled)}",
        ]
        for place, each in enumerate(filled, start=1):
            lines += [
                f"        intervals [{place}]:",
                f"            xmin = {_number(each.start_seconds)}",
                f"            xmax = {_number(each.end_seconds)}",
                f"            text = {_quoted(each.text)}",
            ]
    return "\n".join(lines) + "\n"


def _without_gaps(intervals: Iterable[TimedText], end: float) -> list[_Interval]:
    """Return intervals from 0 to the end, with empty ones in the gaps."""
    filled: list[_Interval] = []
    time = 0.0
    for each in intervals:
        if each.start_seconds - time >= LEAST_SECONDS:
            filled.append(_Interval("", time, each.start_seconds))
        start = filled[-1].end_seconds if filled else 0.0
        filled.append(_Interval(each.text, start, max(each.end_seconds, start + LEAST_SECONDS)))
        time = filled[-1].end_seconds
    if end - time >= LEAST_SECONDS or not filled:
        filled.append(_Interval("", time, end))
    return filled


def _number(seconds: float) -> str:
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def ctm(intervals: Iterable[TimedText], name: str, channel: int) -> str:
    """Format intervals as CTM: recording, channel (counted from 1), start, duration, text and confidence in each line.

    Source: NIST SCTK, `doc/infmts.htm`.
    """
    name = "_".join(name.split())
    return "".join(
        f"{name} {channel + 1} {each.start_seconds:.3f} {each.end_seconds - each.start_seconds:.3f} "
        f"{_one_field(each.text)} {each.confidence:.4f}\n"
        for each in intervals
    )


def _one_field(text: str) -> str:
    return re.sub(r"\s+", "_", text) or "_"

"""Phones and words with times: from fields of a manifest, from `sonant align`, and from TextGrids.

A field `phones` or `words` of a manifest has times if it is a list of `[text, start, end]`, or of objects with `start`,
`end` and `text` (or `phone`, `word`, `label`), in seconds of the row's recording or segment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sonant.data import ManifestEntry
from sonant.errors import ManifestError

Tier = Literal["phone", "word"]
FIELDS: Mapping[Tier, str] = {"phone": "phones", "word": "words"}
SILENCES = frozenset(("", "sil", "sp", "spn", "<eps>", "SIL", "SP", "SPN"))
_NAMES = ("text", "phone", "word", "label")
_TIERS: Mapping[str, Tier] = {"phones": "phone", "phone": "phone", "words": "word", "word": "word"}
_TIER = re.compile(r'class = "IntervalTier"\s+name = "([^"]*)"(.*?)(?=class = "|\Z)', re.DOTALL)
_INTERVAL = re.compile(r'xmin = (\S+)\s+xmax = (\S+)\s+text = "((?:[^"]|"")*)"')


@dataclass(frozen=True)
class TimedLabel:
    """A phone or word with its times in seconds; "" stands for silence."""

    text: str
    start: float
    end: float


Tiers = dict[Tier, list[TimedLabel]]


def labels_of(entries: Sequence[ManifestEntry], alignments: Path | None) -> list[Tiers]:
    """Return phones and words of each recording, in order; those in `alignments` win over fields.

    Args:
        alignments: a JSON Lines file of `sonant align`, or a folder of its .json files or of TextGrids, named as the
            recordings, with tiers called phones and words.

    Raises ManifestError: a file cannot be read, or times are not in order.
    """
    by_name = {} if alignments is None else dict(_aligned(alignments))
    found = []
    for entry in entries:
        tiers: Tiers = {}
        for tier, field in FIELDS.items():
            if labels := _of_field(entry.fields.get(field), f"{entry.name}: field {field!r}"):
                tiers[tier] = labels
        found.append(tiers | by_name.get(entry.path.stem, {}))
    return found


def _of_field(value: Any, where: str) -> list[TimedLabel]:
    if not isinstance(value, list) or not value or not isinstance(value[0], list | dict):
        return []
    try:
        return _checked((_label(each) for each in value), where)
    except (TypeError, KeyError, ValueError) as error:
        raise ManifestError(
            f"{where} has no times that can be read ({error!r}); expected a list of [text, start, end], or of objects "
            "with text, start and end, in seconds."
        ) from error


def _label(value: Any) -> TimedLabel:
    if isinstance(value, dict):
        name = next((name for name in _NAMES if name in value), _NAMES[0])
        return TimedLabel(str(value[name]), float(value["start"]), float(value["end"]))
    text, start, end = value
    return TimedLabel(str(text), float(start), float(end))


def _checked(labels: Iterator[TimedLabel], where: str) -> list[TimedLabel]:
    found: list[TimedLabel] = []
    for each in labels:
        if not each.start <= each.end or (found and each.start < found[-1].start):
            raise ManifestError(f"{where}: {each.text!r} from {each.start:g} to {each.end:g} s is out of order.")
        found.append(TimedLabel("" if each.text in SILENCES else each.text, each.start, each.end))
    return found


def _aligned(place: Path) -> Iterator[tuple[str, Tiers]]:
    files = sorted(place.rglob("*")) if place.is_dir() else [place]
    known = [file for file in files if file.suffix.lower() in (".json", ".jsonl", ".textgrid")]
    if not known or not all(file.is_file() for file in known):
        raise ManifestError(
            f"There are no alignments at {place}; expected .json or .jsonl of `sonant align`, or TextGrids."
        )
    for file in known:
        try:
            text = file.read_text(encoding="utf-8")
            if file.suffix.lower() == ".textgrid":
                yield file.stem, _of_textgrid(text, str(file))
                continue
            for line in text.splitlines():
                if line.strip() and "segments" in (row := json.loads(line)):
                    yield Path(str(row.get("path", file.stem))).stem, _of_alignment(row, str(file))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ManifestError(f"The alignment {file} cannot be read: {error!r}.") from error


def _of_textgrid(text: str, where: str) -> Tiers:
    tiers: Tiers = {}
    for name, body in _TIER.findall(text):
        if tier := _TIERS.get(name.strip().lower()):
            intervals = (
                TimedLabel(label.replace('""', '"'), float(a), float(b)) for a, b, label in _INTERVAL.findall(body)
            )
            tiers[tier] = _checked(intervals, where)
    return tiers


def _of_alignment(row: Mapping[str, Any], where: str) -> Tiers:
    """Return the words, and their characters if these are phones: if they do not spell the words."""
    words = [word for segment in row["segments"] for word in segment.get("words", [])]
    phones = [phone for word in words for phone in word.get("characters", [])]
    tiers: Tiers = {"word": _checked(map(_timed, words), where)} if words else {}
    spelled = sum(
        _letters("".join(each["text"] for each in word.get("characters", []))) == _letters(word["text"])
        for word in words
    )
    if phones and spelled < len(words) / 2:
        tiers["phone"] = _checked(map(_timed, phones), where)
    return tiers


def _timed(value: Mapping[str, Any]) -> TimedLabel:
    return TimedLabel(str(value["text"]), float(value["start_seconds"]), float(value["end_seconds"]))


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()

"""Recordings of an analysis with all that is known of them before a model is run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sonant.analysis.splits import LEAST_OF_LABEL, PART_OF
from sonant.analysis.timed_labels import FIELDS, Tiers
from sonant.data import ManifestEntry
from sonant.errors import UnknownName, some_of

SPLIT = "split"  # field that names the part
MOST_VALUES = 200
LEAST_NUMBERS = 11  # different numbers, from which a field is one to predict, not to classify
# Fields that say where a recording is from, and not what is in it.
NO_LABELS = frozenset((SPLIT, "id", "orig", "text_id", "license", "credit", "text", "text_raw", *FIELDS.values()))


@dataclass(frozen=True, eq=False)
class AnalyzedCorpus:
    """The recordings of an analysis.

    Attributes:
        speakers: of each; None where it is unknown.
        given: part of each that the manifest, or the file that it is from, names; None: none.
        tiers: phones and words with times of each.
        has_whole_words: whether the words are whole recordings.
    """

    source: str
    entries: Sequence[ManifestEntry]
    speakers: Sequence[str | None]
    given: Sequence[str | None]
    tiers: Sequence[Tiers]
    has_whole_words: bool = False

    def labels(self, field: str) -> list[str | None]:
        """Return the value of a field of each recording as text; None where it is missing, or no single value."""
        return [_plain(entry.fields.get(field)) for entry in self.entries]

    def groups(self, places: Sequence[int]) -> list[str]:
        """Return the speakers of recordings if all of them are known, else their numbers."""
        if None in self.speakers:
            return [str(place) for place in places]
        return [str(self.speakers[place]) for place in places]

    @property
    def grouped_by(self) -> str:
        """The groups in a word."""
        return "recordings" if None in self.speakers else "speakers"


def known_parts(entries: Sequence[ManifestEntry]) -> list[str | None]:
    """Return the part that the field `split` of each row names; None where it names none that is known."""
    values = [entry.text_in(SPLIT) for entry in entries]
    return [value if value is not None and value.strip().lower() in PART_OF else None for value in values]


def chosen_fields(entries: Sequence[ManifestEntry], wanted: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Return the fields to analyze, and sentences about those that cannot be.

    Args:
        wanted: names; None: all with several values that are no names of recordings.

    Raises UnknownName: no such field.
    """
    names = list(dict.fromkeys(name for entry in entries for name in entry.fields))
    for name in wanted or ():
        if name not in names:
            raise UnknownName("field of the manifest", name, names)
    chosen, left_out = [], []
    for name in wanted if wanted is not None else [name for name in names if name not in NO_LABELS]:
        values = [value for entry in entries if (value := _plain(entry.fields.get(name))) is not None]
        counts = Counter(values)
        enough = sum(count >= LEAST_OF_LABEL for count in counts.values())
        if len(counts) == 1:
            left_out.append(f"{name}: all recordings have the value {some_of(list(counts), 1)}.")
        elif not values:
            left_out.append(f"{name}: it has no single values.")
        elif enough < 2 and not numbers_in(values):
            left_out.append(f"{name}: of its {len(counts)} values, {enough} have {LEAST_OF_LABEL} recordings or more.")
        else:
            chosen.append(name)
    return chosen, left_out


def recurring_fields(entries: Sequence[ManifestEntry]) -> list[str]:
    """Return the fields that group recordings: with several values, of which one at least has several recordings."""
    columns: dict[str, list[str]] = {}
    for entry in entries:
        for name, value in fields_as_text(entry).items():
            if name not in NO_LABELS:
                columns.setdefault(name, []).append(value)
    return [name for name, values in columns.items() if 1 < len(set(values)) < len(values)]


def numbers_in(values: Sequence[str | None]) -> list[float] | None:
    """Return values as numbers if all are, and many differ: to be predicted, not classified."""
    try:
        found = [float(value) for value in values if value is not None]
    except ValueError:
        return None
    return found if len(set(found)) >= LEAST_NUMBERS and len(set(found)) > len(found) / 50 else None


def fields_as_text(entry: ManifestEntry) -> Mapping[str, str]:
    """Return the columns with single values, as text."""
    return {name: text for name, value in entry.fields.items() if (text := _plain(value)) is not None}


def _plain(value: Any) -> str | None:
    return None if value is None or value == "" or isinstance(value, list | dict) else str(value).strip()

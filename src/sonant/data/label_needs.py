"""Needs of a task that the labels of a corpus have to meet."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sonant.data.entries import ManifestEntry
from sonant.errors import ManifestError


def plain_label(value: object) -> str:
    """Return a value as text, without spaces around it; "" for a list or an object of values."""
    return "" if isinstance(value, list | dict) else str(value).strip()


@dataclass(frozen=True, kw_only=True)
class LabelNeeds:
    """Needs of a task that rows of a corpus have to meet.

    Attributes:
        column: of the label, or several columns, whose values by name are one label.
        normalize: maps the value of a row to the label that is learned; "" if there is nothing to learn. Raises
            ManifestError for a value that is no label.
        outside: returns the units of a normalized label that the vocabulary or the classes lack; None: not checked.
        min_frames: least number of frames for a normalized label; for CTC, `ctc_frames` of its units.
        num_frames: number of frames that the model computes from this many seconds; None: not checked.
        speaker: column of the speaker; "": speakers may be in both parts, as in the identification of speakers.
        title: of what is learned, in messages, such as "sources"; "": the column.
    """

    column: str | tuple[str, ...] = "text"
    normalize: Callable[[Any], str] = plain_label
    outside: Callable[[str], Iterable[str]] | None = None
    min_frames: Callable[[str], int] = lambda _: 1
    num_frames: Callable[[float], int] | None = None
    speaker: str = "speaker"
    title: str = ""

    def label(self, entry: ManifestEntry) -> str:
        """Return the normalized label of a row; "" if it has none, or a value that is no label."""
        return self._read(entry)[0]

    def invalid(self, entry: ManifestEntry) -> str:
        """Return why the value of a row is no label; "" if it is one or missing."""
        return self._read(entry)[1]

    def _read(self, entry: ManifestEntry) -> tuple[str, str]:
        value: Any
        if isinstance(self.column, str):
            value = entry.fields.get(self.column)
        else:
            values = {name: entry.fields.get(name) for name in self.column}
            value = None if all(each in (None, "") for each in values.values()) else values
        try:
            return "" if value is None else self.normalize(value), ""
        except ManifestError as error:
            return "", str(error)


def ctc_frames(units: Sequence[object]) -> int:
    """Return the least number of frames for CTC: one for each unit, and a blank between equal ones."""
    return len(units) + sum(left == right for left, right in pairwise(units))

"""A comparison of earlier results with the recordings now: unchanged, changed or gone."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sonant.extraction.inputs import Entry
from sonant.extraction.special_files import Unusable

IndexLines = Mapping[str, Mapping[str, Any]]  # lines of an index by their keys (`names.key_of`)


@dataclass(frozen=True)
class EarlierResults:
    """The keys of recordings that have results already.

    Attributes:
        kept: unchanged recordings; also those of other sources, and those below a folder that cannot be listed now.
        changed: recordings of another size, time or content than when they were computed, or no regular file any more.
        gone: recordings that the source does not name any more.
    """

    kept: Collection[str]
    changed: Collection[str]
    gone: Collection[str]


def compare(rows: IndexLines, entries: Sequence[Entry], *, complete: bool) -> EarlierResults:
    """Compare earlier results with the recordings of a source.

    A result without a stamp, as older versions wrote them, counts as unchanged; so does that of a recording whose file
    status cannot be read now.

    Args:
        rows: the results.
        entries: the recordings.
        complete: whether all results came from this source, so that one that it does not name is gone.
    """
    named = {entry.key: entry for entry in entries}
    changed = {name for name, entry in named.items() if name in rows and _has_changed(rows[name], entry)}
    unlisted = tuple(f"{entry.label}/" for entry in entries if isinstance(entry.audio, Unusable))
    gone = {name for name in rows if complete and name not in named and not name.startswith(unlisted)}
    return EarlierResults(kept=set(rows) - changed - gone, changed=changed, gone=gone)


def stamped(row: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    """Return a line of the index, with the stamp of its recording added if it has none."""
    return {**row, **({} if _stamp(row) else entry.stamp)}


def _has_changed(row: Mapping[str, Any], entry: Entry) -> bool:
    before = _stamp(row)
    return isinstance(entry.audio, Unusable) or bool(before and entry.stamp and before != entry.stamp)


def _stamp(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name.startswith("source_")}

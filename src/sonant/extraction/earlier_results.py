"""Comparison of earlier results with the present recordings: unchanged, changed or gone."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sonant.extraction.inputs import Entry
from sonant.extraction.special_files import Unusable

IndexLines = Mapping[str, Mapping[str, Any]]  # index lines by key (`names.key_of`)


@dataclass(frozen=True)
class EarlierResults:
    """Keys of recordings with earlier results.

    Attributes:
        kept: unchanged recordings, recordings of other sources, and those in folders that cannot be listed now.
        changed: recordings whose size, time or content has changed, or that are no regular files any more.
        gone: recordings that are no longer in the source.
    """

    kept: Collection[str]
    changed: Collection[str]
    gone: Collection[str]


def compare(rows: IndexLines, entries: Sequence[Entry], *, complete: bool) -> EarlierResults:
    """Compare earlier results (index lines) with the recordings of a source.

    A result without a stamp (from older versions), or of a recording whose file status cannot be read, is unchanged.

    Args:
        complete: whether all results came from this source, so that those missing from it are gone.
    """
    named = {entry.key: entry for entry in entries}
    changed = {name for name, entry in named.items() if name in rows and _has_changed(rows[name], entry)}
    unlisted = tuple(f"{entry.label}/" for entry in entries if isinstance(entry.audio, Unusable))
    gone = {name for name in rows if complete and name not in named and not name.startswith(unlisted)}
    return EarlierResults(kept=set(rows) - changed - gone, changed=changed, gone=gone)


def stamped(row: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    """Return an index line with the recording's stamp, unless it has one."""
    return {**row, **({} if _stamp(row) else entry.stamp)}


def _has_changed(row: Mapping[str, Any], entry: Entry) -> bool:
    before = _stamp(row)
    return isinstance(entry.audio, Unusable) or bool(before and entry.stamp and before != entry.stamp)


def _stamp(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name.startswith("source_")}

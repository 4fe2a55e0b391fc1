"""Splits of a manifest into training, development and test sets whose speakers differ."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from sonant.data.entries import ManifestEntry
from sonant.errors import ConfigurationError, ManifestError

TRAIN = "train"


@dataclass(frozen=True)
class CorpusSplit:
    """The parts of a corpus.

    Attributes:
        by: field whose values are kept together.
        parts: rows of each part, by name, in their order; the rest is "train".
    """

    by: str
    parts: Mapping[str, list[ManifestEntry]]


def split_entries(entries: Sequence[ManifestEntry], shares: Mapping[str, float], *, by: str = "") -> CorpusSplit:
    """Divide the rows of a manifest at random, so that nothing of one group is in two parts.

    Groups are put in an order that depends on their names alone, and fill one part after another up to its share of
    the audio. The same rows give the same parts on any machine.

    Args:
        entries: rows, with durations; without them rows count alike.
        shares: share of the audio of each part, above 0; what they leave is "train".
        by: field whose values are the groups; "" is the speaker where every row has one, else the recording.
            "path" is the recording: its segments and channels stay together.

    Raises:
        ConfigurationError: the shares are not above 0, or leave nothing.
        ManifestError: a row lacks the field, or there are fewer groups than parts.
    """
    if not shares or TRAIN in shares or not all(share > 0 for share in shares.values()) or sum(shares.values()) >= 1:
        given = ", ".join(f"{name}={share:g}" for name, share in shares.items())
        raise ConfigurationError(f"Shares of {given or 'nothing'} were given; expected ones above 0, below 1 together.")
    by = by or ("speaker" if all(entry.fields.get("speaker") for entry in entries) else "path")
    names = _groups(entries, by)
    groups: dict[str, list[ManifestEntry]] = {}
    for entry, name in zip(entries, names, strict=True):
        groups.setdefault(name, []).append(entry)
    if len(groups) <= len(shares):
        raise ManifestError(
            f"{len(shares) + 1} parts were asked for, and '{by}' has {len(groups)} values, which stay together. "
            "Ask for fewer parts, or divide by another field (--by), such as path: then the same speakers are in all."
        )
    timed = all(entry.duration is not None for entry in entries)
    sizes = {name: sum((entry.duration or 0.0) if timed else 1.0 for entry in rows) for name, rows in groups.items()}
    waiting = sorted(groups, key=lambda name: sha256(name.encode("utf-8", "surrogateescape")).digest())
    part_of: dict[str, str] = {}
    for left, (part, share) in zip(range(len(shares), 0, -1), shares.items(), strict=True):
        target, filled = share * sum(sizes.values()), 0.0
        while len(waiting) > left and (not filled or filled + sizes[waiting[0]] / 2 <= target):
            name = waiting.pop(0)
            part_of[name], filled = part, filled + max(sizes[name], 1e-9)
    parts: dict[str, list[ManifestEntry]] = {TRAIN: [], **{part: [] for part in shares}}
    for entry, name in zip(entries, names, strict=True):
        parts[part_of.get(name, TRAIN)].append(entry)
    return CorpusSplit(by, parts)


def _groups(entries: Sequence[ManifestEntry], by: str) -> list[str]:
    """Return the group of each row; paths are taken relative to the folder that holds all of them."""
    if by == "path":
        paths = [os.path.abspath(entry.path) for entry in entries]  # noqa: PTH100 - links are names here
        common = os.path.commonpath(paths)
        return [os.path.relpath(path, common) for path in paths]
    for entry in entries:
        if entry.fields.get(by) in (None, ""):
            raise ManifestError(
                f"{entry.name} has no '{by}', by which rows were to be split. Add it, or split by path."
            )
    return [str(entry.fields[by]) for entry in entries]

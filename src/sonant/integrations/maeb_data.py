"""Labeled recordings for MAEB's protocols: manifests, divided or not, and the field of the label."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from sonant.data import ManifestEntry, read_manifest
from sonant.data.manifest import READERS, is_manifest
from sonant.errors import ManifestError, UnknownName

PARTS = ("train", "dev", "test")
ALONE = "all"  # the part of data that are not divided


@dataclass(frozen=True)
class MaebData:
    """One set of labeled recordings.

    Attributes:
        name: what it is called in tables.
        field: of the manifests, with the label; a dot leads into an object, `slots.drink`.
        manifests: by part: "train" and "test", perhaps "dev"; or "all", for five folds.
    """

    name: str
    field: str
    manifests: dict[str, Path]


def maeb_data(name: str, given: str | PathLike[str], field: str) -> MaebData:
    """Find the manifests of one set of recordings.

    Args:
        given: a folder with manifests called train and test, and perhaps dev; what their names begin with before
            "_train" and "_test"; or one manifest, or a folder that is a corpus, which is not divided. A field of its
            own may follow: `PATH:FIELD`.
        field: of the label, unless `given` has one.

    Raises ManifestError: there are none, or only one of train and test.
    """
    path, own = _divided(str(given))
    found = {part: there for part in PARTS if (there := _manifest_of(path, part)) is not None}
    if {"train", "test"} <= found.keys():
        return MaebData(name, own or field, found)
    if not found and path.exists():
        return MaebData(name, own or field, {ALONE: path})
    said = f"has {', '.join(found)} alone" if found else "is no folder or manifest, and begins the name of none"
    raise ManifestError(
        f"{name}={given}: {path} {said}. Expected manifests called train and test (or {path.name}_train and "
        f"{path.name}_test), or one manifest that is not divided."
    )


def labeled_entries(data: MaebData, part: str) -> tuple[list[ManifestEntry], list[str | None]]:
    """Read the manifest of a part; return its rows and their labels, None where there is none.

    Raises UnknownName: no row has such a field. ManifestError: no row has a label.
    """
    entries = read_manifest(data.manifests[part])
    first, _, inner = data.field.partition(".")
    known = sorted({name for entry in entries for name in entry.fields})
    if first not in known:
        raise UnknownName(f"field of {data.manifests[part]}", data.field, known)
    labels = [_label(entry.fields.get(first), inner) for entry in entries]
    if not any(labels):
        raise ManifestError(f"No row of {data.manifests[part]} has a {data.field!r} that is a text or a number.")
    return entries, labels


def groups_of(entries: Sequence[ManifestEntry], speaker: str) -> list[str] | None:
    """Return the speaker of each row; None unless all are known, and there are several."""
    names = [entry.text_in(speaker) for entry in entries]
    known = [name for name in names if name is not None]
    return known if len(known) == len(names) and len(set(known)) > 1 else None


def _divided(given: str) -> tuple[Path, str]:
    """Divide `PATH:FIELD`; a path that exists as it is has no field."""
    path, colon, field = given.rpartition(":")
    if not colon or Path(given).expanduser().exists() or "/" in field or "\\" in field:
        return Path(given).expanduser(), ""
    return Path(path).expanduser(), field


def _manifest_of(path: Path, part: str) -> Path | None:
    if is_manifest(path) and path.is_file():
        return None
    endings = [ending for ending in READERS if ending.startswith(".")]
    places = [path / part, path.with_name(f"{path.name}_{part}")]
    there = [each for place in places for ending in endings if (each := place.with_name(place.name + ending)).is_file()]
    there = there or [place for place in places if place.is_dir()]
    if len(there) > 1:
        raise ManifestError(f"{path} has several manifests of {part}: {', '.join(each.name for each in there)}.")
    return there[0] if there else None


def _label(value: Any, inner: str) -> str | None:
    for name in inner.split(".") if inner else ():
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None

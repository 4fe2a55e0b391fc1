"""Frame labels in files made by other tools: fairseq's .km, .npy and JSON Lines."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonant.data.manifest import read_manifest
from sonant.data.name_index import NameIndex
from sonant.data.rows import read_json_lines
from sonant.errors import ManifestError

Labels = NDArray[np.int64]
FORMATS = (
    "fairseq's .km (a line of numbers for each recording), a .npy of all labels with lengths=NPY, a folder with a .npy "
    "for each recording, or .jsonl with path (or id) and labels (or units) in each line"
)


@dataclass(frozen=True, eq=False)
class LabelFile:
    """Labels of recordings, read one recording at a time.

    Attributes:
        path: of the file or folder.
        names: of each recording, a path or id; None where they are in the order of the run's data.
        read: returns the labels of a recording by its number in the file.
    """

    path: Path
    count: int
    read: Callable[[int], Labels]
    names: Sequence[str] | None = None
    _index: NameIndex = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", NameIndex(self.names or ()))

    def find(self, recording: Path, identity: str | None = None) -> int | None:
        """Return the number of a recording, see `NameIndex.find`; None if there is none.

        Raises:
            ManifestError: several names fit equally well.
        """
        found = self._index.find(recording, identity)
        if len(found) > 1:
            first, second = (self._index.names[number] for number in found[:2])
            raise ManifestError(
                f"{self.path} has labels for {first!r} and {second!r}, and either could be those of {recording}. Write "
                "more of the path into the names."
            )
        return found[0] if found else None


def open_labels(path: str | Path, *, lengths: str = "", manifest: str = "") -> LabelFile:
    """Open labels of any of `FORMATS`.

    Args:
        lengths: .npy of the number of labels of each recording, for a .npy of all labels.
        manifest: list that a .km or a .npy follows, such as fairseq's .tsv; "": the run's data.

    Raises:
        ManifestError: a file is missing or of another format.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise ManifestError(f"There are no labels at {path}. Expected {FORMATS}.")
    if lengths and path.suffix != ".npy":
        raise ManifestError(f"lengths={lengths} belongs to a .npy of all labels, and {path} is none.")
    if path.is_dir():
        return _folder(path)
    match path.suffix:
        case ".km":
            labels = _km(path)
        case ".npy":
            labels = _array(path, lengths)
        case ".jsonl":
            return _json_lines(path)
        case _:
            raise ManifestError(f"{path} holds no labels, by its name. Expected {FORMATS}.")
    if not manifest:
        return labels
    names = [str(entry.path) for entry in read_manifest(manifest)]
    if len(names) != labels.count:
        raise ManifestError(f"{path} has labels for {labels.count} recordings, {manifest} lists {len(names)}.")
    return LabelFile(path, labels.count, labels.read, names)


def _km(path: Path) -> LabelFile:
    with path.open("rb") as lines:
        starts = np.cumsum([0, *map(len, lines)], dtype=np.int64)

    def read(number: int) -> Labels:
        with path.open("rb") as file:
            file.seek(int(starts[number]))
            return _integers(file.readline().split(), f"{path}:{number + 1}")

    return LabelFile(path, len(starts) - 1, read)


def _array(path: Path, lengths: str) -> LabelFile:
    labels = _load(path, mapped=True)
    if not lengths:
        raise ManifestError(
            f"{path} holds {len(labels)} labels of all recordings; where each begins is not known. Give a .npy of the "
            "number of labels of each recording: lengths=NPY. Or give a folder with a .npy for each recording."
        )
    counts = _load(Path(lengths).expanduser())
    ends = np.cumsum(counts)
    if counts.min(initial=0) < 0 or int(ends[-1]) != len(labels):
        raise ManifestError(f"{lengths} counts {int(ends[-1])} labels in all, and {path} holds {len(labels)}.")
    return LabelFile(path, len(counts), lambda i: labels[ends[i] - counts[i] : ends[i]].astype(np.int64))


def _folder(path: Path) -> LabelFile:
    files = sorted(path.rglob("*.npy"))
    if not files:
        raise ManifestError(f"There is no .npy in {path}. Expected {FORMATS}.")
    names = [str(file.relative_to(path))[: -len(".npy")] for file in files]
    return LabelFile(path, len(files), lambda number: _load(files[number]).astype(np.int64), names)


def _json_lines(path: Path) -> LabelFile:
    names, starts = [], []
    with path.open("rb") as lines:
        ends = np.cumsum([0, *map(len, lines)], dtype=np.int64).tolist()
    for row in read_json_lines(path):
        name = row.fields.get("path", row.fields.get("id"))
        if not isinstance(name, str) or not any(key in row.fields for key in ("labels", "units")):
            raise ManifestError(
                f'{row.where}: expected "path" or "id", and "labels" (or "units"), got {row.fields!r:.80}'
            )
        names.append(name)
        starts.append(ends[int(row.where.rpartition(":")[2]) - 1])

    def read(number: int) -> Labels:
        with path.open("rb") as file:
            file.seek(starts[number])
            fields = json.loads(file.readline().decode("utf-8-sig"))
        return _integers(fields.get("labels", fields.get("units")), f"{path}, {names[number]}")

    return LabelFile(path, len(names), read, names)


def _integers(values: Any, where: str) -> Labels:
    """Convert a list of numbers, or of their digits."""
    if isinstance(values, list) and not any(isinstance(value, float | bool) for value in values):
        with suppress(ValueError, TypeError, OverflowError):
            return np.array([int(value) for value in values], dtype=np.int64)
    raise ManifestError(f"{where}: expected whole numbers, one for each frame, got {values!r:.80}.")


def _load(path: Path, *, mapped: bool = False) -> NDArray[np.integer]:
    """Load a .npy of whole numbers, (labels,), without unpickling anything."""
    try:
        array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ManifestError(f"{path} cannot be read as a .npy of whole numbers ({error}).") from error
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise ManifestError(f"{path} holds {array.dtype} of shape {array.shape}; expected whole numbers in one row.")
    return array

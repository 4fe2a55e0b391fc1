"""Frame labels of a corpus, memory-mapped."""

from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sonant.errors import ManifestError

FILES = {"labels.u16": np.uint16, "labels.u32": np.uint32}


class LabelStore:
    """Sequence of the frame labels of each recording, in the order of a `WaveformStore`.

    They are (frames,), or (frames, codebooks) where each frame has several.

    Files: `labels.u16`, or `labels.u32` for more than 65,536 different labels, and `lengths.npy`.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = folder = Path(folder)
        if not (folder / "lengths.npy").exists():
            raise ManifestError(f"There are no complete labels in {folder}: lengths.npy is missing. Make them again.")
        name = next((name for name in FILES if (folder / name).exists()), None)
        if name is None:
            raise ManifestError(f"There are no labels in {folder}: it has none of {', '.join(FILES)}. Make them again.")
        self.lengths: NDArray[np.int64] = np.load(folder / "lengths.npy")
        self._ends = np.cumsum(self.lengths)
        labels = np.memmap(folder / name, dtype=FILES[name], mode="r")
        codebooks = len(labels) // max(int(self.lengths.sum()), 1)
        self._labels = labels.reshape(-1, codebooks) if codebooks > 1 else labels

    @staticmethod
    def write(folder: str | Path, labels: Iterable[NDArray[np.integer]], *, num_labels: int = 1 << 16) -> None:
        """Write the labels of all recordings, below `num_labels`; `lengths.npy` is last, a mark of completeness."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        wanted = "labels.u16" if num_labels <= 1 << 16 else "labels.u32"
        for name in ("lengths.npy", *FILES):  # of earlier labels
            (folder / name).unlink(missing_ok=True)
        lengths = []
        with open(folder / wanted, "wb") as file:
            for row in labels:
                file.write(np.asarray(row, dtype=FILES[wanted]).tobytes())
                lengths.append(len(row))
        np.save(folder / "lengths.npy", np.array(lengths, dtype=np.int64))

    def all(self) -> NDArray[np.integer]:
        """Return the concatenated labels of all recordings, memory-mapped."""
        return self._labels

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        """Pickle the folder only: a pickled memory map would contain all labels."""
        return type(self), (self.folder,)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, number: int) -> NDArray[np.integer]:
        end = int(self._ends[number])
        return np.asarray(self._labels[end - int(self.lengths[number]) : end])

"""Frame labels of a corpus, memory-mapped: any clip's labels without reading the rest."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sonant.errors import ManifestError


class LabelStore:
    """Labels by recording: uint16, one a frame, in the order of the waveforms they belong to."""

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        if not (folder / "lengths.npy").exists():
            raise ManifestError(f"There are no complete labels in {folder}: lengths.npy is missing. Make them again.")
        self.lengths: NDArray[np.int64] = np.load(folder / "lengths.npy")
        self._ends = np.cumsum(self.lengths)
        self._labels = np.memmap(folder / "labels.u16", dtype=np.uint16, mode="r")

    @staticmethod
    def write(folder: str | Path, labels: Iterable[NDArray[np.integer]]) -> None:
        """Write the labels of every recording in order; `lengths.npy` comes last, so that half a store is none."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        lengths = []
        with open(folder / "labels.u16", "wb") as file:
            for row in labels:
                file.write(np.asarray(row, dtype=np.uint16).tobytes())
                lengths.append(len(row))
        np.save(folder / "lengths.npy", np.array(lengths, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, number: int) -> NDArray[np.uint16]:
        end = int(self._ends[number])
        return np.asarray(self._labels[end - int(self.lengths[number]) : end])

"""Frame labels of a corpus, memory-mapped: any clip's labels without reading the rest."""

from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sonant.errors import ManifestError

FILES = {"labels.u16": np.uint16, "labels.u32": np.uint32}


class LabelStore:
    """Labels by recording: one a frame, in the order of the waveforms they belong to.

    They take two bytes each (`labels.u16`), or four where there are more than 65,536 of them (`labels.u32`).
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
        self._labels = np.memmap(folder / name, dtype=FILES[name], mode="r")

    @staticmethod
    def write(folder: str | Path, labels: Iterable[NDArray[np.integer]], *, num_labels: int = 1 << 16) -> None:
        """Write the labels of every recording in order; `lengths.npy` comes last, so that half a store is none.

        Args:
            labels: of each recording, 0 to `num_labels` - 1.
            num_labels: how many there may be; it decides how many bytes each takes.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        wanted = "labels.u16" if num_labels <= 1 << 16 else "labels.u32"
        for name in ("lengths.npy", *FILES):  # what other labels may have left
            (folder / name).unlink(missing_ok=True)
        lengths = []
        with open(folder / wanted, "wb") as file:
            for row in labels:
                file.write(np.asarray(row, dtype=FILES[wanted]).tobytes())
                lengths.append(len(row))
        np.save(folder / "lengths.npy", np.array(lengths, dtype=np.int64))

    def all(self) -> NDArray[np.integer]:
        """The labels of all recordings, one behind another, on disk until they are used."""
        return self._labels

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        """Let another process map the files itself: a pickled memory map would carry all of them."""
        return type(self), (self.folder,)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, number: int) -> NDArray[np.integer]:
        end = int(self._ends[number])
        return np.asarray(self._labels[end - int(self.lengths[number]) : end])

"""A temporary file of pooled vectors: appended as they are computed, and put in order at the end."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sonant.extraction.formats import Rows, sync


class VectorSpool:
    """A raw file of vectors (layers, dim), one row per recording, in the order in which they were computed.

    Args:
        path: of the file.
        shape: of a row, (layers, dim).
        rows: the number of complete rows; later bytes, left by a killed run, are cut off.
    """

    def __init__(self, path: Path, shape: tuple[int, int], dtype: np.dtype[Any], *, rows: int) -> None:
        self.path, self.shape, self.dtype, self.rows = path, shape, dtype, rows
        path.touch()
        self._file = path.open("r+b")
        self._file.truncate(rows * shape[0] * shape[1] * dtype.itemsize)
        self._file.seek(0, 2)

    def append(self, vectors: Iterable[np.ndarray]) -> range:
        """Append vectors (layers, dim), flush them through to the disk, and return the numbers of their rows."""
        start = self.rows
        for vector in vectors:
            self._file.write(np.ascontiguousarray(vector, dtype=self.dtype).data)
            self.rows += 1
        sync(self._file)
        return range(start, self.rows)

    def layers(self, order: Sequence[int]) -> list[Rows]:
        """Return for each layer the rows of these numbers, in this order, as a matrix (rows, dim) kept on disk."""
        self._file.flush()
        spool = np.memmap(self.path, self.dtype, "r", shape=(self.rows, *self.shape))
        return [_Picked(spool[:, layer], np.array(order)) for layer in range(self.shape[0])]

    def close(self) -> None:
        self._file.close()


class _Picked:
    """Rows of a matrix in another order, fetched a slice at a time."""

    def __init__(self, rows: np.ndarray, order: np.ndarray) -> None:
        self._rows, self._order = rows, order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, span: slice) -> np.ndarray:
        return self._rows[self._order[span]]

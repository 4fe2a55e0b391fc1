"""Temporary binary files: results before the final file is written, and matrices that do not fit into memory."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sonant.errors import ConfigurationError
from sonant.extraction.vector_files import sync


class Spool:
    """A temporary binary file of results, in the order of computation.

    Args:
        path: the file.
        num_bytes: size of the complete results; later bytes of a killed run are cut off.

    Raises:
        ConfigurationError: the file is shorter.
    """

    def __init__(self, path: Path, num_bytes: int) -> None:
        self.path, self.num_bytes = path, num_bytes
        self._file = path.open("a+b")
        found = self._file.seek(0, 2)
        if found < num_bytes:
            self._file.close()
            raise ConfigurationError(
                f"{path} has {found} bytes, and the journal beside it expects {num_bytes}: it was removed or cut, so "
                f"results are lost. Remove {path.parent}, and start again."
            )
        self._file.truncate(num_bytes)

    def append(self, results: Iterable[bytes | memoryview]) -> list[int]:
        """Append results, flush them to the disk, and return their offsets."""
        starts = []
        for result in results:
            starts.append(self.num_bytes)
            self.num_bytes += self._file.write(result)
        sync(self._file)
        return starts

    def read(self, start: int, num_bytes: int) -> bytes:
        """Return `num_bytes` from an offset."""
        self._file.seek(start)
        return self._file.read(num_bytes)

    def close(self) -> None:
        self._file.close()


@dataclass(frozen=True, eq=False)
class RowsOnDisk:
    """A matrix (rows, dim) in a binary file, read a slice at a time.

    Attributes:
        path: the file.
        dim: columns.
        numbers: indices of the rows in the file, in the order of this matrix.
    """

    path: Path
    dtype: np.dtype[Any]
    dim: int
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, span: slice) -> np.ndarray:
        return np.memmap(self.path, self.dtype, "r").reshape(-1, self.dim)[self.numbers[span]]

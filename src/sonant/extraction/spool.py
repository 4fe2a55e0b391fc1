"""A temporary file of results whose final file is written at the end, in the order of the input."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from sonant.errors import ConfigurationError
from sonant.extraction.formats import sync


class Spool:
    """Results one behind another in a raw file, in the order in which they were computed.

    Args:
        path: of the file.
        num_bytes: of complete results; later bytes, left by a killed run, are cut off.

    Raises:
        ConfigurationError: the file is shorter than that.
    """

    def __init__(self, path: Path, num_bytes: int) -> None:
        self.path, self.num_bytes = path, num_bytes
        self._file = path.open("a+b")
        found = self._file.seek(0, 2)
        if found < num_bytes:
            self._file.close()
            raise ConfigurationError(
                f"{path} has {found} bytes, and the journal beside it counts on {num_bytes}: somebody removed or cut "
                f"it, so results are lost. Remove {path.parent}, and start again."
            )
        self._file.truncate(num_bytes)

    def append(self, results: Iterable[bytes | memoryview]) -> list[int]:
        """Append results, flush them through to the disk, and return where each begins."""
        starts = []
        for result in results:
            starts.append(self.num_bytes)
            self.num_bytes += self._file.write(result)
        sync(self._file)
        return starts

    def read(self, start: int, num_bytes: int) -> bytes:
        """Return bytes of a result."""
        self._file.seek(start)
        return self._file.read(num_bytes)

    def rows(self, shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
        """Return results that are arrays (layers, dim) as one on disk: (results, layers, dim)."""
        self._file.flush()
        count = self.num_bytes // (shape[0] * shape[1] * dtype.itemsize)
        return np.memmap(self.path, dtype, "r", shape=(count, *shape))

    def close(self) -> None:
        self._file.close()

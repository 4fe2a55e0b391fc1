"""Sinks for the frames of a recording: collected in memory, pooled, or written to temporary files."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from sonant.audio import Window, keep
from sonant.errors import NonFiniteStates
from sonant.extraction.finiteness import require_range
from sonant.extraction.partial_results import PartialResults
from sonant.extraction.pooling import RunningPool, unit_length
from sonant.extraction.request import EncodeRequest
from sonant.extraction.spool import RowsOnDisk

FLOAT32 = np.dtype(np.float32)


class MakeSink(Protocol):
    """A function that makes the sink of a recording, given its index and whether it is cut into windows."""

    def __call__(self, item: int, /, *, windowed: bool) -> "Sink": ...


class Sink(Protocol):
    """A receiver of a recording's frames, in blocks (layers, frames, dim) in order; computes the result."""

    def append(self, frames: Tensor) -> None: ...
    def finish(self) -> Any:
        """Return the result, or a `Pending` one."""

    def abandon(self) -> None:
        """Clean up after an error of the recording."""


@dataclass(frozen=True, eq=False)
class Pending:
    """A sink's result that is still to be computed, together with those of other recordings.

    Attributes:
        value: of this recording.
        compute: computes the results of several recordings from their values, in order. It is called once for all
            recordings of a pass that have an equal function.
    """

    value: Any
    compute: Callable[[Sequence[Any]], Sequence[Any]]


@runtime_checkable
class WindowSink(Sink, Protocol):
    """A sink that receives whole windows, including the frames that neighboring windows share."""

    def append_window(self, states: Tensor, window: Window) -> None: ...


@runtime_checkable
class ResumableSink(Sink, Protocol):
    """A sink that continues from an interrupted run.

    Attributes:
        windows: number of windows received in earlier runs.
    """

    windows: int

    def save(self, windows: int) -> None:
        """Save the state after this many windows, earlier runs included."""


def deliver(sink: Sink, states: Tensor | NonFiniteStates, window: Window | None = None) -> int:
    """Give a sink the states (layers, frames, dim) of a recording or window, cut to the frames that the window keeps.

    Returns the number of kept frames. Raises an error given in place of states.
    """
    if isinstance(states, NonFiniteStates):
        raise states
    if window is None:
        sink.append(states)
        return states.shape[1]
    if isinstance(sink, WindowSink):
        sink.append_window(states, window)
    else:
        sink.append(keep(states, window, axis=1))
    return window.keep_frames


class Collected:
    """A sink that collects all frames in memory: (layers, frames, dim), float32 on the CPU.

    `stored`: the type of the frames on disk; NonFiniteStates is raised if they exceed its range.
    """

    def __init__(self, *, normalize: bool, stored: np.dtype[Any] = FLOAT32) -> None:
        self._normalize, self._stored = normalize, stored
        self._blocks: list[Tensor] = []

    def append(self, frames: Tensor) -> None:
        frames = (unit_length(frames) if self._normalize else frames).cpu()
        require_range(frames, self._stored)
        self._blocks.append(frames)

    def finish(self) -> Tensor:
        # Copy even a single block, which is a view into the states of a whole batch.
        return torch.cat(self._blocks, dim=1)

    def abandon(self) -> None:
        self._blocks.clear()


class Pooled:
    """A sink that pools the frames: (layers, vector_dim), float32 on the CPU.

    `partial` saves the sums of a long recording; None: they are not saved. `stored` is as in `Collected`.
    """

    def __init__(
        self, request: EncodeRequest, partial: PartialResults | None = None, *, stored: np.dtype[Any] = FLOAT32
    ) -> None:
        assert request.pool is not None
        self._stored = stored
        self._pool = RunningPool(request.pool)
        self._normalize = request.normalize
        self._partial, self.windows = partial, 0
        if partial is not None and (state := partial.load()):
            self.windows = int(state["windows"])
            self._pool.restore(state)

    def append(self, frames: Tensor) -> None:
        self._pool.append(frames)

    def save(self, windows: int) -> None:
        if self._partial is not None:
            self._partial.save(windows=windows, **self._pool.state())

    def finish(self) -> Tensor:
        pooled = self._pool.finish()
        pooled = unit_length(pooled) if self._normalize else pooled
        require_range(pooled, self._stored)
        return pooled

    def abandon(self) -> None:
        if self._partial is not None:
            self._partial.remove()


def in_memory(request: EncodeRequest, *, stored: np.dtype[Any] = FLOAT32) -> Collected | Pooled:
    """Return a sink for results in memory; `stored` is as in `Collected`."""
    if request.pool is None:
        return Collected(normalize=request.normalize, stored=stored)
    return Pooled(request, stored=stored)


class Spooled:
    """A sink that appends the frames of each layer to a temporary file, in constant memory.

    `finish` returns one `RowsOnDisk` per layer; the caller removes `partial` afterwards.
    """

    def __init__(self, partial: PartialResults, request: EncodeRequest, dtype: np.dtype[Any]) -> None:
        self._dtype, self._normalize, self._partial = dtype, request.normalize, partial
        self._paths = [partial.path / f"{name}.spool" for name in request.layer_names]
        self.windows, self._rows, self._dim = 0, 0, 0
        self._sums = [0] * len(self._paths)  # CRC-32 of the written bytes, checked on resuming
        self._restore(partial.load())
        partial.make()
        self._files = [path.open("ab") for path in self._paths]
        for file in self._files:  # written after the last `save`
            file.truncate(self._num_bytes)

    @property
    def _num_bytes(self) -> int:
        return self._rows * self._dim * self._dtype.itemsize

    def append(self, frames: Tensor) -> None:
        if self._normalize:
            frames = unit_length(frames)
        require_range(frames, self._dtype)
        for i, (file, layer) in enumerate(zip(self._files, frames.cpu(), strict=True)):
            rows = np.ascontiguousarray(layer.numpy(), dtype=self._dtype).data
            file.write(rows)
            self._sums[i] = crc32(rows, self._sums[i])
        self._rows, self._dim = self._rows + frames.shape[1], frames.shape[2]

    def save(self, windows: int) -> None:
        for file in self._files:
            file.flush()
        self._partial.save(windows=windows, rows=self._rows, dim=self._dim, sums=self._sums)

    def finish(self) -> list[RowsOnDisk]:
        for file in self._files:
            file.close()
        return [RowsOnDisk(path, self._dtype, self._dim, np.arange(self._rows)) for path in self._paths]

    def abandon(self) -> None:
        for file in self._files:
            with suppress(OSError):  # a full disk: closing flushes the buffer
                file.close()
        self._partial.remove()

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Resume from the saved state if the files match it, else start again."""
        if not state:
            return
        self._rows, self._dim = int(state["rows"]), int(state["dim"])
        if [_checksum(path, self._num_bytes) for path in self._paths] == state["sums"].tolist():
            self.windows, self._sums = int(state["windows"]), state["sums"].tolist()
        else:
            self._rows = 0


def _checksum(path: Path, num_bytes: int) -> int | None:
    """Return the CRC-32 of the first bytes of a file; None if it is shorter."""
    total, left = 0, num_bytes
    try:
        with path.open("rb") as file:
            while left and (block := file.read(min(left, 1 << 20))):
                total, left = crc32(block, total), left - len(block)
    except OSError:
        return None
    return None if left else total

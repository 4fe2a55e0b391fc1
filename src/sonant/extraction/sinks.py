"""Where the frames of a recording go: kept in memory, pooled as they come, or spooled to disk."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from sonant.audio import Window, keep
from sonant.extraction.pooling import RunningPool, unit_length
from sonant.extraction.request import Request


class MakeSink(Protocol):
    """Gives the receiver for a recording, by its number and whether it comes in windows."""

    def __call__(self, item: int, /, *, windowed: bool) -> "Sink": ...


class Sink(Protocol):
    """Takes in the frames of one recording, (layers, frames, dim) at a time and in order, and makes the result."""

    def append(self, frames: Tensor) -> None: ...
    def finish(self) -> Any: ...
    def abandon(self) -> None:
        """The recording turned out to be unusable halfway."""


@runtime_checkable
class WindowSink(Sink, Protocol):
    """A receiver that also wants what neighbouring windows share, and so takes windows whole."""

    def append_window(self, states: Tensor, window: Window) -> None: ...


def deliver(sink: Sink, states: Tensor, window: Window | None = None) -> None:
    """Hand over the states (layers, frames, dim) of a whole recording, or of a window: what it keeps, or all of it."""
    if window is None:
        sink.append(states)
    elif isinstance(sink, WindowSink):
        sink.append_window(states, window)
    else:
        sink.append(keep(states, window, axis=1))


class Collected:
    """Keeps every frame in memory: (layers, frames, dim), float32 on the CPU."""

    def __init__(self, *, normalize: bool) -> None:
        self._normalize = normalize
        self._blocks: list[Tensor] = []

    def append(self, frames: Tensor) -> None:
        self._blocks.append((unit_length(frames) if self._normalize else frames).cpu())

    def finish(self) -> Tensor:
        # A copy also where there is one block: it is a view into the states of a whole batch.
        return torch.cat(self._blocks, dim=1)

    def abandon(self) -> None:
        self._blocks.clear()


class Pooled:
    """Pools as the frames come: (layers, vector_dim), float32 on the CPU."""

    def __init__(self, request: Request) -> None:
        assert request.pool is not None
        self._pool = RunningPool(request.pool)
        self._normalize = request.normalize

    def append(self, frames: Tensor) -> None:
        self._pool.append(frames)

    def finish(self) -> Tensor:
        pooled = self._pool.finish()
        return unit_length(pooled) if self._normalize else pooled

    def abandon(self) -> None:
        pass


def in_memory(request: Request) -> Collected | Pooled:
    """The receiver that a request asks for, when results fit into memory."""
    return Collected(normalize=request.normalize) if request.pool is None else Pooled(request)


@dataclass(frozen=True)
class RowsOnDisk:
    """Rows (rows, dim) in a raw file, read a slice at a time: what is too long for memory can still be sliced."""

    path: Path
    rows: int
    dim: int
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, span: slice) -> np.ndarray:
        start, stop, _ = span.indices(self.rows)
        offset, count = start * self.dim * self.dtype.itemsize, max(0, stop - start) * self.dim
        return np.fromfile(self.path, self.dtype, count=count, offset=offset).reshape(-1, self.dim)


class Spooled:
    """Appends the frames of each layer to a raw file, so that memory does not grow with the recording.

    `finish` gives one `RowsOnDisk` a layer; whoever takes them calls `abandon` when done.
    """

    def __init__(self, prefix: Path, request: Request, dtype: np.dtype[Any]) -> None:
        self._dtype, self._normalize = dtype, request.normalize
        self._paths = [prefix.with_name(f"{prefix.name}.{name}.spool") for name in request.layer_names]
        self._files = [path.open("wb") for path in self._paths]
        self._rows, self._dim = 0, 0

    def append(self, frames: Tensor) -> None:
        if self._normalize:
            frames = unit_length(frames)
        for file, layer in zip(self._files, frames.cpu(), strict=True):
            file.write(np.ascontiguousarray(layer.numpy(), dtype=self._dtype).data)
        self._rows, self._dim = self._rows + frames.shape[1], frames.shape[2]

    def finish(self) -> list[RowsOnDisk]:
        for file in self._files:
            file.close()
        return [RowsOnDisk(path, self._rows, self._dim, self._dtype) for path in self._paths]

    def abandon(self) -> None:
        for file, path in zip(self._files, self._paths, strict=True):
            file.close()
            path.unlink(missing_ok=True)

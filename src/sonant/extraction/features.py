"""The results of `sonant embed` on disk: arrays of frames, matrices of vectors, and the lines of an index."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sonant.audio import Channel
from sonant.errors import UnknownName
from sonant.extraction.engine import Outcome
from sonant.extraction.formats import Format, Rows, check_format, read, write
from sonant.extraction.inputs import Entry
from sonant.extraction.request import Request
from sonant.extraction.unfinished import Unfinished
from sonant.inference.precision import Precision

StoredType = Literal["float32", "float16"]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The origin of features: the model's name, the hub's revision, a hash of weights and settings, the precision."""

    model: str
    revision: str
    weights: str
    dim: int
    frame_rate: float
    precision: Precision | None = None  # None: that of the weights


class Writer:
    """A writer of the results of a request to files."""

    def __init__(
        self,
        identity: Identity,
        request: Request,
        *,
        kind: Format,
        dtype: StoredType,
        channel: Channel | None = None,
    ) -> None:
        check_format(kind)
        if dtype not in ("float32", "float16"):
            raise UnknownName("stored number type", dtype, ["float32", "float16"])
        self.identity, self.request, self.format = identity, request, kind
        self.channel = None if channel == "mix" else channel
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.dim = request.vector_dim(identity.dim)

    def settings(self) -> dict[str, Any]:
        """Return all that determines the numbers, but not what changes only their rounding (device, batch size)."""
        request = self.request
        return {
            "model": self.identity.model,
            "revision": self.identity.revision,
            "weights": self.identity.weights,
            "layer": list(request.layers) if request.stacked else request.layers[0],
            "pool": request.pool,
            "normalize": request.normalize,
            "window_seconds": request.window_seconds,
            "overlap_seconds": request.overlap if request.window_seconds else None,
            "channel": self.channel,
            "precision": self.identity.precision,
            "format": self.format,
            "dtype": self.dtype.name,
            "dim": self.dim,
            "frame_rate": self.identity.frame_rate,
        }

    def row(self, entry: Entry, outcome: Outcome) -> dict[str, Any]:
        """Return a recording's line in the index."""
        settings = self.settings()
        return {
            **entry.facts,
            "seconds": round(outcome.seconds, 6),
            "frames": outcome.frames,
            **{key: settings[key] for key in ("dim", "layer", "pool", "model", "revision")},
            **entry.stamp,
        }

    def unfinished(self, path: Path, entry: Entry) -> Unfinished:
        """Return the store of a long recording's unfinished results, valid for the same content and settings alone."""
        return Unfinished(path, {**entry.facts, **entry.stamp, **self.settings()})

    def frames(self, path: Path, outcome: Outcome) -> None:
        """Write the frames of one recording, from memory or from a spool."""
        layers: list[Rows] = outcome.value if isinstance(outcome.value, list) else list(outcome.value.numpy())
        starts = np.arange(len(layers[0])) / self.identity.frame_rate
        columns = (
            {"seconds": [round(float(start), 6) for start in starts]} if self.format in ("parquet", "jsonl") else {}
        )
        self._write(path, layers, columns)

    def vectors(self, path: Path, layers: Sequence[Rows], index: Sequence[Mapping[str, Any]]) -> None:
        """Write a vector for each recording of the index."""
        named = [name for name in ("path", "channel", "seconds") if any(name in row for row in index)]
        self._write(path, layers, {name: [row.get(name) for row in index] for name in named})

    def read_vectors(self, path: Path) -> np.ndarray:
        """Read the vectors (layers, recordings, dim)."""
        return read(path, kind=self.format, layer_names=self.request.layer_names, rows_first=True)

    def _write(self, path: Path, layers: Sequence[Rows], columns: Mapping[str, Sequence[Any]]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(
            path,
            dict(zip(self.request.layer_names, layers, strict=True)),
            kind=self.format,
            dtype=self.dtype,
            dim=self.dim,
            columns=columns,
            stacked=self.request.stacked,
            rows_first=self.request.pool is not None,
        )

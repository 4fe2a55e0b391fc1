"""Vectors on disk: the frames of each recording in a file, or pooled vectors in one table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sonant.audio import Channel
from sonant.errors import UnknownName
from sonant.extraction.formats import FORMATS, Format, Rows, check_format, estimated_bytes, read, write
from sonant.extraction.request import Request
from sonant.extraction.sinks import Pooled, Sink, Spooled, in_memory
from sonant.extraction.sources import Source
from sonant.extraction.stores import Files, Opened, Result, Store, Table
from sonant.extraction.unfinished import Unfinished
from sonant.inference.precision import Precision

StoredType = Literal["float32", "float16"]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The origin of vectors: the model's name, the hub's revision, a hash of weights and settings, the precision."""

    model: str
    revision: str
    weights: str
    dim: int
    frame_rate: float
    precision: Precision | None = None  # None: that of the weights


class VectorWriter:
    """A writer of vectors; see `sonant.extraction.formats` for the files."""

    what, usual_format, printed_format = "vectors", "npy", None
    endings: Mapping[str, Format] = {f".{each}": each for each in FORMATS}
    folder_formats: Sequence[Format] = FORMATS
    joins, min_samples = False, None

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
        self.request, self.format = request, kind
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.dim, self._frame_rate = request.vector_dim(identity.dim), identity.frame_rate
        # All that determines the numbers, but not what changes only their rounding (device, batch size).
        self.settings: Mapping[str, Any] = {
            "model": identity.model,
            "revision": identity.revision,
            "weights": identity.weights,
            "layer": list(request.layers) if request.stacked else request.layers[0],
            "pool": request.pool,
            "normalize": request.normalize,
            "window_seconds": request.window_seconds,
            "overlap_seconds": request.overlap if request.window_seconds else None,
            "channel": None if channel == "mix" else channel,
            "precision": identity.precision,
            "format": kind,
            "dtype": dtype,
            "dim": self.dim,
            "frame_rate": identity.frame_rate,
        }
        self.facts = {name: self.settings[name] for name in ("dim", "layer", "pool", "model", "revision")}

    def sink(self, _source: Source, unfinished: Unfinished | None) -> Sink:
        if unfinished is None:
            return in_memory(self.request, stored=self.dtype)
        if self.request.pool is not None:
            return Pooled(self.request, unfinished, stored=self.dtype)
        return Spooled(unfinished, self.request, self.dtype)

    def estimated_bytes(self, recordings: int, seconds: float) -> int:
        rows = recordings if self.request.pool is not None else round(seconds * self._frame_rate)
        return estimated_bytes(rows, self.dim, len(self.request.layers), kind=self.format, dtype=self.dtype)

    def store(self, opened: Opened) -> Store:
        if self.request.pool is None:
            return Files(opened, self._save_frames, ending=self.format, folders=["features"])
        return Table(
            opened,
            opened.work / f"vectors.{self.format}" if opened.place.is_folder else opened.output,
            shape=(len(self.request.layers), self.dim),
            dtype=self.dtype,
            write=self._write_vectors,
            read=self.read_vectors,
        )

    def read_vectors(self, path: Path) -> np.ndarray:
        """Read a table of vectors: (layers, recordings, dim)."""
        return read(path, kind=self.format, layer_names=self.request.layer_names, rows_first=True)

    def _save_frames(self, paths: Sequence[Path], result: Result) -> None:
        value = result[1].value
        layers: list[Rows] = value if isinstance(value, list) else list(value.numpy())  # from a spool, or memory
        columns = {}
        if self.format in ("parquet", "jsonl"):
            columns["seconds"] = [round(float(frame / self._frame_rate), 6) for frame in np.arange(len(layers[0]))]
        self._write(paths[0], layers, columns)

    def _write_vectors(self, path: Path, layers: Sequence[Rows], index: Sequence[Mapping[str, Any]]) -> None:
        named = [name for name in ("path", "channel", "seconds") if any(name in row for row in index)]
        self._write(path, layers, {name: [row.get(name) for row in index] for name in named})

    def _write(self, path: Path, layers: Sequence[Rows], columns: Mapping[str, Sequence[Any]]) -> None:
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

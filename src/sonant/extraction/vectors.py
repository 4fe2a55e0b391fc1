"""Vectors on disk: the frames of each recording in a file, or pooled vectors in one table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sonant.errors import UnknownName
from sonant.extraction.formats import Format, Rows, check_format, estimated_bytes, read, write
from sonant.extraction.request import Request
from sonant.extraction.sinks import Pooled, Sink, Spooled, in_memory
from sonant.extraction.sources import Source
from sonant.extraction.stores import Files, Opened, Result, Store, Table
from sonant.extraction.unfinished import Unfinished
from sonant.extraction.writers import Writer

StoredType = Literal["float32", "float16"]


@dataclass(frozen=True, kw_only=True)
class VectorWriter(Writer):
    """A writer of vectors; see `sonant.extraction.formats` for the files.

    Attributes:
        dim: the width of a vector.
        frame_rate: of the model.
        dtype: of the numbers on disk.
    """

    format: Format
    dim: int
    frame_rate: float
    dtype: np.dtype[Any]

    @property
    def facts(self) -> Mapping[str, Any]:
        return {name: self.settings[name] for name in ("dim", "layer", "pool", "model", "revision")}

    def sink(self, source: Source, unfinished: Unfinished | None) -> Sink:  # noqa: ARG002
        if unfinished is None:
            return in_memory(self.request, stored=self.dtype)
        if self.request.pool is not None:
            return Pooled(self.request, unfinished, stored=self.dtype)
        return Spooled(unfinished, self.request, self.dtype)

    def estimated_bytes(self, recordings: int, seconds: float) -> int:
        rows = recordings if self.request.pool is not None else round(seconds * self.frame_rate)
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
            columns["seconds"] = [round(float(frame / self.frame_rate), 6) for frame in np.arange(len(layers[0]))]
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


def vector_writer(
    request: Request, kind: Format, dtype: StoredType, *, settings: Mapping[str, Any], dim: int, frame_rate: float
) -> VectorWriter:
    """Return a writer of vectors.

    Args:
        settings: what determines the states of the model.
        dim, frame_rate: of the model.

    Raises:
        UnknownName: there is no such format or type.
        MissingExtra: the format needs a package that is not installed.
    """
    check_format(kind)
    if dtype not in ("float32", "float16"):
        raise UnknownName("stored number type", dtype, ["float32", "float16"])
    dim = request.vector_dim(dim)
    wanted = {
        "layer": list(request.layers) if request.stacked else request.layers[0],
        "pool": request.pool,
        "normalize": request.normalize,
        "format": kind,
        "dtype": dtype,
        "dim": dim,
        "frame_rate": frame_rate,
    }
    return VectorWriter(
        what="vectors",
        format=kind,
        request=request,
        settings={**settings, **wanted},
        dim=dim,
        frame_rate=frame_rate,
        dtype=np.dtype(dtype),
    )

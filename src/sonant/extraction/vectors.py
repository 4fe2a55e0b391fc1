"""Writing of vectors: one file of frames per recording, or one table of pooled vectors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sonant.data.files import atomic
from sonant.errors import UnknownName
from sonant.extraction.partial_results import PartialResults
from sonant.extraction.request import EncodeRequest
from sonant.extraction.result_stores import FileStore, JobState, Result, ResultStore, Row
from sonant.extraction.sinks import Pooled, Sink, Spooled, in_memory
from sonant.extraction.sources import Source
from sonant.extraction.spool import RowsOnDisk, Spool
from sonant.extraction.vector_files import Rows, VectorFormat, check_format, estimated_bytes, read, slices, write
from sonant.extraction.writers import Writer

StoredType = Literal["float32", "float16"]


@dataclass(frozen=True, kw_only=True)
class VectorWriter(Writer):
    """A writer of vectors in the formats of `sonant.extraction.vector_files`.

    Attributes:
        dim: width of a vector.
        frame_rate: of the model.
        dtype: of the numbers on disk.
    """

    format: VectorFormat
    dim: int
    frame_rate: float
    dtype: np.dtype[Any]

    @property
    def resumes_recordings(self) -> bool:
        return True

    @property
    def facts(self) -> Mapping[str, Any]:
        return {name: self.settings[name] for name in ("dim", "layer", "pool", "model", "revision")}

    def sink(self, source: Source, partial: PartialResults | None) -> Sink:  # noqa: ARG002
        if partial is None:
            return in_memory(self.request, stored=self.dtype)
        if self.request.pool is not None:
            return Pooled(self.request, partial, stored=self.dtype)
        return Spooled(partial, self.request, self.dtype)

    def estimated_bytes(self, recordings: int, seconds: float) -> int:
        rows = recordings if self.request.pool is not None else round(seconds * self.frame_rate)
        return estimated_bytes(rows, self.dim, len(self.request.layers), kind=self.format, dtype=self.dtype)

    def store(self, opened: JobState) -> ResultStore:
        if self.request.pool is None:
            return FileStore(opened, self._save_frames, ending=self.format, folders=["features"])
        return TableStore(opened, self)

    def _save_frames(self, paths: Sequence[Path], result: Result) -> None:
        value = result[1].value
        layers: list[Rows] = value if isinstance(value, list) else list(value.numpy())  # on disk, or in memory
        columns = {}
        if self.format in ("parquet", "jsonl"):
            columns["seconds"] = [round(float(frame / self.frame_rate), 6) for frame in np.arange(len(layers[0]))]
        self._write(paths[0], layers, columns)

    def read_vectors(self, path: Path) -> np.ndarray:
        """Read a table of vectors: (layers, recordings, dim)."""
        return read(path, kind=self.format, layer_names=self.request.layer_names, rows_first=True)

    def write_vectors(self, path: Path, layers: Sequence[Rows], index: Sequence[Mapping[str, Any]]) -> None:
        """Write a table: a matrix (recordings, dim) per layer, and columns from the index lines."""
        names = ("path", "channel", "offset", "duration", "seconds")
        named = [name for name in names if any(name in row for row in index)]
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


class TableStore:
    """A store of one table with a row for each recording; see `sonant.extraction.result_stores.ResultStore`."""

    def __init__(self, opened: JobState, writer: VectorWriter) -> None:
        self._writer, self._num_layers = writer, len(writer.request.layers)
        self._path = opened.output / f"vectors.{writer.format}" if opened.place.is_folder else opened.output
        self._row_bytes = self._num_layers * writer.dim * writer.dtype.itemsize
        if opened.lines and not opened.spool.exists() and self._path.exists():  # continue an existing table
            vectors = writer.read_vectors(self._path)
            with atomic(opened.spool) as draft, draft.open("wb") as file:
                for span in slices(vectors.shape[1]):
                    file.write(np.ascontiguousarray(vectors[:, span].swapaxes(0, 1), dtype=writer.dtype).data)
        self._spool = Spool(opened.spool, len(opened.lines) * self._row_bytes)

    def add(self, results: Sequence[Result]) -> list[Row]:
        vectors = (np.ascontiguousarray(outcome.value.numpy(), self._writer.dtype).data for _, outcome in results)
        return [{"row": start // self._row_bytes} for start in self._spool.append(vectors)]

    def finish(self, rows: Sequence[Row]) -> tuple[list[Row], int]:
        if not rows:
            self._path.unlink(missing_ok=True)
            return [], 0
        order = self._num_layers * np.array([row["row"] for row in rows])  # row numbers of the first layers
        layers = [
            RowsOnDisk(self._spool.path, self._writer.dtype, self._writer.dim, order + layer)
            for layer in range(self._num_layers)
        ]
        index = [row | {"row": number} for number, row in enumerate(rows)]
        self._writer.write_vectors(self._path, layers, index)
        return index, self._path.stat().st_size

    def close(self) -> None:
        self._spool.close()


def vector_writer(
    request: EncodeRequest,
    kind: VectorFormat,
    dtype: StoredType,
    *,
    settings: Mapping[str, Any],
    dim: int,
    frame_rate: float,
) -> VectorWriter:
    """Return a writer of vectors.

    Args:
        settings: everything that determines the hidden states.
        dim, frame_rate: of the model.

    Raises:
        UnknownName: no such format or type.
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

"""Files of vectors, written a slice at a time and atomically: frames of one recording, or one row per recording.

- npy: an array (frames, dim) or (layers, frames, dim); (recordings, dim) or (recordings, layers, dim).
- npz, safetensors: an array (frames, dim) or (recordings, dim) for each layer, named `layer_7`.
- parquet: one row per frame with `seconds`, or per recording with `path` and `seconds`; one column per layer.
- jsonl: one line per frame or recording, with the columns of parquet.

Equal vectors give equal bytes.
"""

import json
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal, Protocol, get_args

import numpy as np

from sonant.data.files import atomic
from sonant.errors import MissingExtra, UnknownName

VectorFormat = Literal["npy", "npz", "safetensors", "parquet", "jsonl"]
VECTOR_FORMATS: tuple[VectorFormat, ...] = get_args(VectorFormat)
SLICE = 4096  # rows in memory at a time

_SAFETENSORS_TYPES = {"float32": "F32", "float16": "F16"}
# Bytes of a number in text: float32 up to 15, float16 up to 12.
_TEXT_BYTES = {"float32": 13, "float16": 8}


class Rows(Protocol):
    """A matrix in memory or on disk."""

    def __len__(self) -> int: ...
    def __getitem__(self, span: slice, /) -> np.ndarray: ...


def write(
    path: Path,
    layers: Mapping[str, Rows],
    *,
    kind: VectorFormat,
    dtype: np.dtype[Any],
    dim: int,
    columns: Mapping[str, Sequence[Any]] | None = None,
    stacked: bool = False,
    rows_first: bool = False,
) -> None:
    """Write matrices (rows, dim), one per layer.

    Args:
        layers: matrices by name.
        dtype: of the numbers in the file.
        columns: further columns, such as `path` or `seconds`; not stored in npy and safetensors.
        stacked: whether an npy array has a layer axis.
        rows_first: whether the layer axis is the second, after the rows.
    """
    with atomic(path) as draft:
        match kind:
            case "npy":
                with draft.open("wb") as file:
                    _npy(file, list(layers.values()), dtype, dim, stacked=stacked, rows_first=rows_first)
            case "npz":
                _npz(draft, layers, dtype, dim, columns or {})
            case "safetensors":
                with draft.open("wb") as file:
                    _safetensors(file, layers, dtype, dim)
            case "parquet":
                _parquet(draft, layers, dtype, dim, columns or {})
            case "jsonl":
                with draft.open("w", encoding="utf-8") as text:
                    _jsonl(text, layers, dtype, columns or {})
            case _:
                raise UnknownName("format", kind, VECTOR_FORMATS)


def read(path: Path, *, kind: VectorFormat, layer_names: Sequence[str], rows_first: bool = False) -> np.ndarray:
    """Read a file of `write` as one array (layers, rows, dim)."""
    match kind:
        case "npy":
            array = np.load(path, mmap_mode="r")  # may be larger than memory
            if array.ndim == 2:
                return array[None]
            return array.transpose(1, 0, 2) if rows_first else array
        case "npz":
            with np.load(path) as arrays:
                return np.stack([arrays[name] for name in layer_names])
        case "safetensors":
            from safetensors.numpy import load_file

            tensors = load_file(path)
            return np.stack([tensors[name] for name in layer_names])
        case "parquet":
            table = _pyarrow().parquet.read_table(path, columns=list(layer_names))
            columns = [table[name].combine_chunks() for name in layer_names]
            return np.stack([column.flatten().to_numpy().reshape(len(column), -1) for column in columns])
        case "jsonl":
            with path.open(encoding="utf-8") as text:
                lines = [json.loads(line) for line in text]
            return np.stack([np.array([line[name] for line in lines], np.float32) for name in layer_names])
    raise UnknownName("format", kind, VECTOR_FORMATS)


def estimated_bytes(num_rows: int, dim: int, num_layers: int, *, kind: VectorFormat, dtype: np.dtype[Any]) -> int:
    """Estimate the size of vectors on disk in bytes."""
    return num_rows * dim * num_layers * (_TEXT_BYTES[dtype.name] if kind == "jsonl" else dtype.itemsize)


def check_format(kind: VectorFormat) -> None:
    """Raise UnknownName for an unknown format, MissingExtra if its package is not installed."""
    if kind not in VECTOR_FORMATS:
        raise UnknownName("format", kind, VECTOR_FORMATS)
    if kind == "parquet":
        _pyarrow()


def slices(num_rows: int) -> Iterator[slice]:
    """Yield slices that cover `num_rows` rows."""
    for start in range(0, num_rows, SLICE):
        yield slice(start, min(start + SLICE, num_rows))


def sync(file: IO[Any]) -> None:
    """Flush written data to the disk."""
    file.flush()
    os.fsync(file.fileno())


def _npy(
    file: IO[bytes], layers: Sequence[Rows], dtype: np.dtype[Any], dim: int, *, stacked: bool, rows_first: bool
) -> None:
    rows = len(layers[0])
    shape = (rows, dim)
    if stacked:
        shape = (rows, len(layers), dim) if rows_first else (len(layers), rows, dim)  # type: ignore[assignment]
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    if stacked and rows_first:
        for span in slices(rows):
            _put(file, np.stack([layer[span] for layer in layers], axis=1), dtype)
        return
    for layer in layers:
        for span in slices(rows):
            _put(file, layer[span], dtype)


def _npz(
    path: Path, layers: Mapping[str, Rows], dtype: np.dtype[Any], dim: int, columns: Mapping[str, Sequence[Any]]
) -> None:
    def entry(name: str) -> zipfile.ZipInfo:
        return zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))

    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, values in columns.items():
            with archive.open(entry(name), "w") as file:
                np.lib.format.write_array(file, np.asarray(values), allow_pickle=False)
        for name, rows in layers.items():
            with archive.open(entry(name), "w", force_zip64=True) as file:
                _npy(file, [rows], dtype, dim, stacked=False, rows_first=False)


def _safetensors(file: IO[bytes], layers: Mapping[str, Rows], dtype: np.dtype[Any], dim: int) -> None:
    """Write safetensors a slice at a time; the package's own writer needs all tensors in memory.

    Format: length of the header (8 bytes), header, data. Source: github.com/huggingface/safetensors.
    """
    header, offset = {}, 0
    for name, rows in layers.items():
        size = len(rows) * dim * dtype.itemsize
        header[name] = {
            "dtype": _SAFETENSORS_TYPES[dtype.name],
            "shape": [len(rows), dim],
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for rows in layers.values():
        for span in slices(len(rows)):
            _put(file, rows[span], dtype)


def _parquet(
    path: Path, layers: Mapping[str, Rows], dtype: np.dtype[Any], dim: int, columns: Mapping[str, Sequence[Any]]
) -> None:
    pa = _pyarrow()
    vector = pa.list_(pa.from_numpy_dtype(dtype), dim)
    first = pa.table({name: pa.array(values) for name, values in columns.items()})
    schema = pa.schema([*first.schema, *(pa.field(name, vector) for name in layers)])
    with pa.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for span in slices(len(next(iter(layers.values())))):
            arrays = [first[name].combine_chunks()[span.start : span.stop] for name in columns]
            for rows in layers.values():
                block = np.ascontiguousarray(rows[span], dtype=dtype)
                arrays.append(pa.FixedSizeListArray.from_arrays(pa.array(block.reshape(-1)), dim))
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _jsonl(
    file: IO[str], layers: Mapping[str, Rows], dtype: np.dtype[Any], columns: Mapping[str, Sequence[Any]]
) -> None:
    for span in slices(len(next(iter(layers.values())))):
        blocks = [rows[span].astype(dtype) for rows in layers.values()]
        for i in range(span.stop - span.start):
            line = {name: values[span.start + i] for name, values in columns.items()}
            numbers = {name: _numbers(block[i]) for name, block in zip(layers, blocks, strict=True)}
            file.write(json.dumps(line | numbers, ensure_ascii=False) + "\n")


def _numbers(vector: np.ndarray) -> list[float]:
    """Return the shortest decimals that parse to the same float32 or float16."""
    return [float(str(number)) for number in vector]


def _put(file: IO[bytes], rows: np.ndarray, dtype: np.dtype[Any]) -> None:
    file.write(np.ascontiguousarray(rows, dtype=dtype).data.cast("B") if rows.size else b"")


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra("pyarrow", extra="table", purpose="Writing and reading Parquet") from error
    return pa

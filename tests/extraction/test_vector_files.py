import json
from pathlib import Path

import numpy as np
import pytest

from sonant.data.files import atomic
from sonant.errors import MissingExtra
from sonant.extraction import vector_files
from sonant.extraction.spool import RowsOnDisk
from sonant.extraction.vector_files import VECTOR_FORMATS, estimated_bytes, read, write

ROWS, DIM = 5000, 6  # more rows than one slice


def matrices(dtype: str = "float32") -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal((ROWS, DIM)).astype(dtype) for name in ("layer_0", "layer_last")}


@pytest.mark.parametrize("rows_first", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("kind", VECTOR_FORMATS)
def test_what_is_written_is_read_back_to_the_bit(kind: str, dtype: str, rows_first: bool, tmp_path: Path) -> None:
    path, layers = tmp_path / f"x.{kind}", matrices(dtype)
    columns = {"seconds": [i / 50 for i in range(ROWS)], "path": [f"ä{i}" for i in range(ROWS)]}
    write(
        path,
        layers,
        kind=kind,
        dtype=np.dtype(dtype),
        dim=DIM,
        columns=columns,
        stacked=True,
        rows_first=rows_first,
    )
    back = read(path, kind=kind, layer_names=list(layers), rows_first=rows_first)
    assert np.array_equal(back.astype(dtype), np.stack(list(layers.values())))
    again = tmp_path / f"again.{kind}"
    write(
        again,
        layers,
        kind=kind,
        dtype=np.dtype(dtype),
        dim=DIM,
        columns=columns,
        stacked=True,
        rows_first=rows_first,
    )
    assert path.read_bytes() == again.read_bytes()


@pytest.mark.parametrize("kind", VECTOR_FORMATS)
def test_rows_on_disk_are_written_like_rows_in_memory(kind: str, tmp_path: Path) -> None:
    layers = matrices()
    on_disk = {}
    for name, values in layers.items():
        (tmp_path / name).write_bytes(values.tobytes())
        on_disk[name] = RowsOnDisk(tmp_path / name, np.dtype("float32"), DIM, np.arange(ROWS))
    for name, source in (("memory", layers), ("disk", on_disk)):
        write(tmp_path / f"{name}.{kind}", source, kind=kind, dtype=np.dtype("float32"), dim=DIM, stacked=True)
    assert (tmp_path / f"memory.{kind}").read_bytes() == (tmp_path / f"disk.{kind}").read_bytes()


def test_the_usual_readers_read_it(tmp_path: Path) -> None:
    layers = {"layer_last": matrices()["layer_last"]}
    for kind in VECTOR_FORMATS:
        write(
            tmp_path / f"x.{kind}",
            layers,
            kind=kind,
            dtype=np.dtype("float32"),
            dim=DIM,
            columns={"seconds": [0.5] * ROWS},
        )
    expected = layers["layer_last"]
    assert np.array_equal(np.load(tmp_path / "x.npy", mmap_mode="r"), expected)
    assert np.array_equal(np.load(tmp_path / "x.npz")["layer_last"], expected)
    from safetensors.torch import load_file

    assert np.array_equal(load_file(tmp_path / "x.safetensors")["layer_last"].numpy(), expected)
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(tmp_path / "x.parquet")
    assert table.column_names == ["seconds", "layer_last"]
    assert np.array_equal(np.array(table["layer_last"].to_pylist(), np.float32), expected)
    lines = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert lines[3]["seconds"] == 0.5
    assert np.array_equal(np.array([line["layer_last"] for line in lines], np.float32), expected)


@pytest.mark.parametrize("kind", VECTOR_FORMATS)
def test_sizes_are_estimated(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    write(path, matrices(), kind=kind, dtype=np.dtype("float32"), dim=DIM, stacked=True)
    expected = estimated_bytes(ROWS, DIM, 2, kind=kind, dtype=np.dtype("float32"))
    assert 0.7 * path.stat().st_size < expected < 1.35 * path.stat().st_size


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x"

    def break_off() -> None:
        with atomic(path) as draft:
            draft.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert list(tmp_path.iterdir()) == []
    with atomic(path) as draft:
        draft.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"


def test_a_missing_package_is_named_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match="pip install 'pyarrow"):
        vector_files.check_format("parquet")

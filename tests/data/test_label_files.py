"""Labels in files of other tools: every format gives the same rows, and names find their recordings."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sonant.data.label_files import LabelFile, open_labels
from sonant.errors import ManifestError

ROWS = [[3, 1, 1], [0], [70_000, 2, 5, 5]]
NAMES = ["speaker1/a", "speaker2/a", "speaker2/b"]


def km(folder: Path) -> LabelFile:
    (folder / "train.km").write_text("".join(" ".join(map(str, row)) + "\n" for row in ROWS))
    (folder / "train.tsv").write_text("/corpus\n" + "".join(f"{name}.flac\t16000\n" for name in NAMES))
    return open_labels(folder / "train.km", manifest=str(folder / "train.tsv"))


def array(folder: Path) -> LabelFile:
    np.save(folder / "all.npy", np.concatenate(ROWS))
    np.save(folder / "lengths.npy", [len(row) for row in ROWS])
    (folder / "train.tsv").write_text("/corpus\n" + "".join(f"{name}.flac\t16000\n" for name in NAMES))
    return open_labels(folder / "all.npy", lengths=str(folder / "lengths.npy"), manifest=str(folder / "train.tsv"))


def several(folder: Path) -> LabelFile:
    for name, row in zip(NAMES, ROWS, strict=True):
        (folder / "units" / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / "units" / f"{name}.npy", row)
    return open_labels(folder / "units")


def lines(folder: Path) -> LabelFile:
    rows = [{"path": f"{name}.flac", "labels": row} for name, row in zip(NAMES, ROWS, strict=True)]
    (folder / "labels.jsonl").write_text("\n" + "".join(json.dumps(row, ensure_ascii=False) + "\n\n" for row in rows))
    return open_labels(folder / "labels.jsonl")


@pytest.mark.parametrize("make", [km, array, several, lines])
def test_every_format_gives_the_same_rows(make: Callable[[Path], LabelFile], tmp_path: Path) -> None:
    labels = make(tmp_path)
    for name, row in zip(NAMES, ROWS, strict=True):
        number = labels.find(Path("/elsewhere") / f"{name}.flac")
        assert number is not None
        found = labels.read(number)
        assert found.tolist() == row
        assert found.dtype == np.int64
    assert labels.find(Path("/elsewhere/speaker2/c.flac")) is None


def test_the_end_of_a_path_or_an_id_finds_the_recording(tmp_path: Path) -> None:
    (tmp_path / "labels.jsonl").write_text(
        '{"id": "one", "units": [1]}\n{"path": "x/a.wav", "units": [2]}\n{"path": "y/a.wav", "units": [3]}\n'
    )
    labels = open_labels(tmp_path / "labels.jsonl")
    assert labels.find(Path("/c/00.wav"), "one") == 0
    assert labels.find(Path("/c/one.wav")) == 0
    assert labels.find(Path("/c/y/a.wav")) == 2
    with pytest.raises(ManifestError, match=r"'x/a.wav' and 'y/a.wav', and either could be those of /c/z/a.wav"):
        labels.find(Path("/c/z/a.wav"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.km", b"1 2 x\n", r"a.km:1: expected whole numbers"),
        ("a.km", b"1 2.5\n", r"a.km:1: expected whole numbers"),
        ("a.jsonl", b'{"path": "a", "labels": [1, 2.5]}\n', "expected whole numbers"),
        ("a.jsonl", b'{"path": "a", "labels": [true]}\n', "expected whole numbers"),
        ("a.jsonl", b'{"path": "a", "labels": 5}\n', "expected whole numbers"),
        ("a.jsonl", b'{"labels": [1]}\n', '"path" or "id"'),
        ("a.jsonl", b'{"path": "a"}\n', r'"labels" \(or "units"\)'),
        ("a.npy", b"nothing", "cannot be read as a .npy"),
        ("a.txt", b"1 2\n", "no labels, by its name"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ManifestError, match=message):
        open_labels(tmp_path / name).read(0)


def test_arrays_of_other_shapes_and_lengths_are_refused(tmp_path: Path) -> None:
    for name, values in {"flat": [1, 2, 3], "square": [[1], [2]], "real": [1.0], "two": [1, 1]}.items():
        np.save(tmp_path / f"{name}.npy", values)
    np.save(tmp_path / "pickle.npy", np.array([{}], dtype=object))
    cases = {
        ("flat", ""): "where each begins is not known",
        ("flat", "two"): "counts 2 labels in all, and .* holds 3",
        ("square", "two"): r"int64 of shape \(2, 1\)",
        ("real", "two"): "float64",
        ("pickle", "two"): "cannot be read",
    }
    for (name, lengths), message in cases.items():
        with pytest.raises(ManifestError, match=message):
            open_labels(tmp_path / f"{name}.npy", lengths=str(tmp_path / f"{lengths}.npy") if lengths else "")
    with pytest.raises(ManifestError, match="no labels at"):
        open_labels(tmp_path / "none.km")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match=r"no \.npy in"):
        open_labels(tmp_path / "empty")
    (tmp_path / "a.km").write_text("1\n2\n")
    (tmp_path / "a.tsv").write_text("/corpus\na.wav\t1\n")
    with pytest.raises(ManifestError, match=r"labels for 2 recordings, .*a\.tsv lists 1"):
        open_labels(tmp_path / "a.km", manifest=str(tmp_path / "a.tsv"))

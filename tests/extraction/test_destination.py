from functools import partial
from pathlib import Path

import pytest

from sonant.errors import ConfigurationError, UnknownName
from sonant.extraction.destination import Destination, OutputFormats

VECTORS = OutputFormats(what="vectors", endings={".npy": "npy", ".jsonl": "jsonl"}, folders=["npy", "jsonl"])
UNITS = OutputFormats(what="units", endings={".txt": "text", ".jsonl": "jsonl"}, folders=["npy"], printed="text")
vectors, units = (partial(formats.place, source="recordings") for formats in (VECTORS, UNITS))


@pytest.mark.parametrize(
    ("name", "kind", "found"),
    [
        ("x.npy", None, ("npy", False)),
        ("x.NPY", None, ("npy", False)),
        ("x.jsonl", "jsonl", ("jsonl", False)),
        ("x", None, ("npy", True)),
        ("x", "jsonl", ("jsonl", True)),
        ("run.v2", None, ("npy", True)),
        ("layer-6.5", None, ("npy", True)),
        ("there.wav", None, ("npy", True)),
        ("there.npy", "jsonl", ("jsonl", True)),
    ],
)
def test_the_name_tells_file_and_folder(tmp_path: Path, name: str, kind: str | None, found: tuple) -> None:
    for folder in ("there.wav", "there.npy"):
        (tmp_path / folder).mkdir()
    assert vectors(tmp_path / name, kind) == Destination(tmp_path / name, *found)


@pytest.mark.parametrize("name", ["vectors.wav", "x.csv", "x.pt", "x.FLAC", "x.tar.gz", "x.txt", "-"])
def test_names_of_other_files_are_refused_with_those_that_are_known(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"a folder, or into one file that ends in \.npy, \.jsonl"):
        vectors(Path(name), None)


def test_contradictions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="agree"):
        vectors(tmp_path / "x.npy", "jsonl")
    with pytest.raises(UnknownName, match="npz"):
        vectors(tmp_path / "x", "npz")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="no folder"):
        vectors(tmp_path / "file", None)
    (tmp_path / "list.jsonl").touch()
    with pytest.raises(ConfigurationError, match="the source itself"):
        vectors(tmp_path / "list.jsonl", None, source=tmp_path / "../" / tmp_path.name / "list.jsonl")


def test_lines_may_be_printed_or_put_into_a_file_of_any_name(tmp_path: Path) -> None:
    assert units(None, None) == units(Path("-"), None) == Destination(None, "text", is_folder=False)
    assert units(Path("-"), "jsonl").kind == "jsonl"
    assert units(tmp_path / "u", "text") == Destination(tmp_path / "u", "text", is_folder=False)
    with pytest.raises(ConfigurationError, match="standard output"):
        units(None, "npy")
    with pytest.raises(ConfigurationError, match="is a folder"):
        units(tmp_path, "text")

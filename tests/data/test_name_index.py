"""The name of a recording among others: the id, or the longest end of the path."""

from pathlib import Path

from sonant.data.name_index import NameIndex


def test_an_end_of_the_path_goes_before_a_name_that_differs_further_up() -> None:
    index = NameIndex(["other/a/x.wav", "a/x.wav", "b/x", "x.wav", "id"])
    assert index.find(Path("/corpus/a/x.wav")) == [1]
    assert index.find(Path("/corpus/b/x.wav")) == [2]
    assert index.find(Path("/corpus/c/x.wav")) == [3]
    assert index.find(Path("/corpus/a/y.wav")) == []
    assert index.find(Path("/corpus/a/x.wav"), "id") == [4]
    assert index.find(Path("/corpus/other/a/x.wav"), "unknown") == [0]

import os
from pathlib import Path

import pytest

from sonant.data.folders import search


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(root: Path, **how) -> list[str]:
    files, failures = search(root, lambda name: name.endswith(".wav"), **how)
    assert not failures
    return sorted(str(path.relative_to(root)) for path in files)


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    touch(tmp_path, "a/b/x.wav")
    (tmp_path / "a/b/up").symlink_to(tmp_path)
    (tmp_path / "itself").symlink_to("itself")
    (tmp_path / "itself.wav").symlink_to("itself.wav")  # no folder, so a file, which reading tells the truth of
    assert found(tmp_path) == ["a/b/x.wav", "itself.wav"]


def test_a_folder_has_its_own_name_rather_than_that_of_a_link(tmp_path: Path) -> None:
    touch(tmp_path, "in/z/x.wav", "else/y.wav")
    (tmp_path / "in/a").symlink_to("z")
    (tmp_path / "in/b").symlink_to("../else")
    (tmp_path / "in/c").symlink_to("../else")
    assert found(tmp_path / "in") == ["b/y.wav", "z/x.wav"]


def test_a_file_has_all_its_names(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    (tmp_path / "b.wav").symlink_to("a.wav")
    os.link(tmp_path / "a.wav", tmp_path / "c.wav")
    assert found(tmp_path) == ["a.wav", "b.wav", "c.wav"]


@pytest.mark.parametrize("spelled", ["in/out", "in/../in/out", "link"])
def test_the_output_is_not_searched_however_it_is_spelled(tmp_path: Path, spelled: str) -> None:
    touch(tmp_path, "in/x.wav", "in/out/y.wav")
    (tmp_path / "link").symlink_to("in/out")
    assert found(tmp_path / "in", leave_out=tmp_path / spelled) == ["x.wav"]
    assert found(tmp_path / "in", leave_out=tmp_path / "in") == ["out/y.wav", "x.wav"]


def test_a_path_that_is_too_long_is_told(tmp_path: Path) -> None:
    """Deeper than a path may be: made step by step, as other programs do."""
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("x" * 250, dir_fd=here)
        deeper = os.open("x" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    files, failures = search(tmp_path, lambda _: True)
    assert not files
    (error,) = failures.values()
    assert error.strerror == "File name too long"

"""Files that cannot be written, such as on a full disk: one error with the path, whoever writes them."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from sonant.checkpoints.files import write_json, write_pickle
from sonant.data.files import atomic
from sonant.training.state import write

TENSORS = {"a": torch.zeros(100_000)}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize(
    "put",
    [
        lambda path: write_json(path, {"a": 1}),
        lambda path: write_pickle(path, TENSORS),
        lambda path: write(path, TENSORS),
    ],
)
def test_a_full_disk_is_told_with_the_path(put: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    path.with_name("file.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        put(path)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_that_safetensors_reports_is_told_too(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught, atomic(tmp_path / "file"):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert caught.value.filename == str(tmp_path / "file")

"""What errors of writing say."""

from pathlib import Path

import pytest

from sonant.cli import _message
from sonant.data.files import naming

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
def test_a_full_disk_is_named_with_the_file() -> None:
    with pytest.raises(OSError, match="No space left") as found, naming(Path("samples")), FULL.open("a") as file:
        file.write("x")
    assert _message(found.value) == "No space left on device: samples. Make room, or write to another place."


def test_errors_that_name_a_file_stay_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"), naming(Path("samples")):
        (tmp_path / "missing").read_text()

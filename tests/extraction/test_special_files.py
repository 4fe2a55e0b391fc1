import os
import threading
from pathlib import Path

from sonant.extraction.sources import rewound
from sonant.extraction.special_files import is_pipe, look_at_all


def test_a_pipe_by_its_path_is_read_once_and_kept(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert is_pipe(tmp_path / "pipe")
    for given in (tmp_path / "pipe", str(tmp_path / "pipe")):
        writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"RIFF",))
        writer.start()
        assert rewound(given) == b"RIFF"
        writer.join()
    assert rewound("a\0b") == "a\0b"
    assert rewound(tmp_path) == tmp_path


def test_many_are_looked_at_in_order(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(600)]
    for number, path in enumerate(paths):
        path.write_bytes(b"x" * (number % 7))
    found = list(look_at_all(paths))
    assert [audio for audio, _ in found] == paths
    assert [stamp["source_bytes"] for _, stamp in found] == [number % 7 for number in range(600)]

"""The benchmark of decoding: it runs, and writes a row for each of our searches."""

import json
from pathlib import Path

import pytest

from benchmarks.decoding import main


@pytest.mark.slow
def test_every_search_is_measured(tmp_path: Path) -> None:
    main(["--out", str(tmp_path), *"--recordings 2 --seconds 1 --rounds 1 --words 50 --threads 1".split()])
    times = json.loads((tmp_path / "decoding.json").read_text())["times"]
    assert {"forward", "greedy", "beam", "beam, 4-gram", "beam, lexicon", "beam, lexicon, 4-gram"} <= set(times)
    table = (tmp_path / "decoding.md").read_text()
    assert all(f"| {name} |" in table for name in times)

"""The benchmarks run, at a tiny size, and what they print is what they measured."""

import json
from pathlib import Path

import pytest

from benchmarks import packed_law


@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")  # transformers' own call
def test_packed_law(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "law.json"
    packed_law.main(["--layers", "1", "--width", "16", "--seconds", "0.3", "0.6", "--out", str(out)])
    rows = json.loads(out.read_text())
    printed = capsys.readouterr().out
    assert [row["model"] for row in rows] == list(packed_law.CONFIGS)
    for row in rows:
        assert f"| {row['model']} |" in printed
        assert row["sonant"] < 1e-5
        assert row["padded"] > 1e-3
        assert (row["masked"] > 1e-3) == (row["norm"] == "group")

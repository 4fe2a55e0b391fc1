"""The benchmarks run, at a tiny size, and what they print is what they measured."""

import json
from pathlib import Path

import pytest

from benchmarks import packed_law, speed


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


@pytest.mark.slow
def test_speed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "speed.json"
    arguments = ["--shapes", "tiny", "--cases", "10s", "batch", "--threads", "1", "--seconds", "1", "--out", str(out)]
    speed.main(arguments)
    measured = json.loads(out.read_text())["measured"]
    assert [(row["case"], row["system"]) for row in measured] == [
        ("10s", "sonant"),
        ("10s", "padded"),
        ("batch", "sonant"),
        ("batch", "padded"),
        ("batch", "one by one"),
    ]
    for row in measured:
        assert row["peak_memory"] >= row["idle_memory"] > 100 * speed.MEBI
        assert len(row["seconds"]) >= 1
        assert (row["error"] < 1e-5) == ((row["case"], row["system"]) != ("batch", "padded"))
    printed = capsys.readouterr().out
    assert printed.count("| WavLM Tiny |") == len(measured)


def test_medians_and_ratios() -> None:
    rows = [
        speed.Measured("base", "10s", "sonant", seconds=[2.0, 1.0, 9.0]),
        speed.Measured("base", "10s", "padded", seconds=[6.0, 5.0]),
    ]
    assert rows[0].real_time_factor == pytest.approx(0.2)
    ours, theirs = speed.table(rows).splitlines()[2:]
    assert "| 2.00 s | 3 | 5.0 | 1.00 |" in ours
    assert "| 5.50 s | 2 | 1.8 | 2.75 |" in theirs

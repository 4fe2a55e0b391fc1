"""What is to be run on a GPU runs, small, on a CPU: it must not fail for the first time where minutes are dear."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("script", ["report", "families"])
def test_the_script_writes_its_tables(script: str, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "gpu" / f"{script}.py"), "--tiny", "--device", "cpu", "--repeats", "1"]
    done = subprocess.run([*command, "--out", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / f"{script}.json").read_text())
    tables = [rows for rows in report.values() if isinstance(rows, list)]
    assert len(tables) == 3
    assert all(row["audio s / s"] > 0 for rows in tables[1:] for row in rows)
    for row in tables[0]:
        assert row["worst layer, relative"] == 0, "a CPU agrees with itself"
        assert row["alone against batch"] < 1e-5


@pytest.mark.slow
def test_the_measurements_of_speed_run(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "gpu" / "speed.py"), "--trial", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "speed.json").read_text())
    tables = {title: rows for title, rows in report.items() if isinstance(rows, list)}
    assert len(tables) == 11
    assert not [row for rows in tables.values() for row in rows if "failed" in row]
    for row in tables["The attention kernel against its reference in float64"]:
        assert "left out" in row or (
            row["worst gradient"] < 1e-5 and row["same twice"] and row["dropout agrees"] < 1e-5
        )
    for row in tables["Deviations of encoding from the plain model in float32"]:
        assert row["lowest cosine of a frame"] > 0.99
    assert all(row["audio s / s"] > 0 for row in tables["Encoding, bfloat16, clips of 10 s"])

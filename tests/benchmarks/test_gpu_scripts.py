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

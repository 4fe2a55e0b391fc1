"""The comparison of small models: what it picks from probes and logs."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import compare_families

ROW: dict[str, Any] = {"task": "keywords", "pool": "mean+std", "run": 0, "low": 0.1, "high": 0.9, "dev_loss": 1.0}


def write_model(folder: Path, name: str, rows: list[dict[str, Any]], metric: str) -> str:
    run, probes = folder / name, folder / f"{name}_probes"
    (run / "stage").mkdir(parents=True)
    probes.mkdir()
    (run / "run.json").write_text(json.dumps({"name": name, "stages": [{"name": "stage"}, {"name": "not yet"}]}))
    reports = [{"step": step, "loss": 3.0 / step, metric: step / 10} for step in (1, 2, 3)]
    (run / "stage" / "metrics.jsonl").write_text("".join(json.dumps(report) + "\n" for report in reports))
    (probes / "probes.json").write_text(json.dumps({"results": rows}))
    return f"{run}={probes}"


def test_the_layer_is_chosen_on_dev_and_never_on_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = [
        {**ROW, "system": "model", "layer": 0, "accuracy": 0.9, "dev_accuracy": 0.5},
        {**ROW, "system": "model", "layer": 1, "accuracy": 0.7, "dev_accuracy": 0.6},
    ]
    random = [{**ROW, "system": "random weights", "layer": i, "accuracy": 0.2, "dev_accuracy": 0.2} for i in (0, 1)]
    flat = [{**ROW, "system": "MFCC", "layer": 0, "accuracy": 0.4, "dev_accuracy": 0.4}]
    first = write_model(tmp_path, "one", trained + random + flat, "masked_accuracy")
    second = write_model(tmp_path, "two", trained, "accuracy")
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["compare_families.py", "--out", str(out), first, second])
    compare_families.main()
    table = (out / "table.inc").read_text()
    assert table.strip() == capsys.readouterr().out.strip()
    assert "| **one** | 70.0 [10.0, 90.0] at 1 |" in table
    assert "| MFCC | 40.0 [10.0, 90.0] |" in table
    assert table.count("20.0 [10.0, 90.0] at 0") == 1  # the second has no random weights
    assert (out / "probes.png").stat().st_size > 5_000
    assert (out / "curves.png").stat().st_size > 5_000


def test_a_stage_is_drawn_by_what_its_objective_is_judged_by() -> None:
    rows = [{"step": 1, "loss": 2.0, "accuracy": 0.1}, {"step": 2, "loss": 1.0, "accuracy": 0.3}]
    assert compare_families.learned(rows) == ("accuracy", [1, 2], [0.1, 0.3])
    assert compare_families.learned([{"step": 1, "loss": 2.0}]) is None

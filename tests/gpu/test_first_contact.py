"""The script for a GPU runs, small, on a CPU: it must not fail for the first time where minutes are dear."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "gpu" / "first_contact.py"
PLAN = '''
import os, time
from pathlib import Path
from row import Row


def fine(contact):
    yield {"value": 1.0}
    yield {"value": 2.0}


def raises(contact):
    yield {"value": 3.0}
    raise RuntimeError("an illegal memory access")


def dies(contact):
    os.abort()
    yield {}


def hangs(contact):
    yield {"value": 4.0}
    time.sleep(600)


def sees(contact):
    """What lay on the disk while this row ran."""
    yield {"lines": len((contact.out / "facts.jsonl").read_text().splitlines()), "passed": True}


def rows_for(*, trial):
    named = {"fine": fine, "raises": raises, "dies": dies, "hangs": hangs, "sees": sees}
    return [Row(name, "Section", 3, function) for name, function in named.items()]
'''


def run(script: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src") + os.pathsep + os.environ.get("PYTHONPATH", "")}
    command = [sys.executable, str(script), "--out", str(out), "--trial", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def facts_in(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "facts.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_a_row_that_fails_dies_or_hangs_is_recorded_and_the_next_one_runs(tmp_path: Path) -> None:
    shutil.copytree(SCRIPT.parent, tmp_path / "gpu")
    (tmp_path / "gpu" / "plan.py").write_text(PLAN)
    done = run(tmp_path / "gpu" / SCRIPT.name, tmp_path / "out")
    assert done.returncode == 1, done.stderr
    told = [(fact["row"], fact.get("value"), fact.get("failed")) for fact in facts_in(tmp_path / "out")]
    assert [(row, value) for row, value, _ in told] == [
        ("fine", 1.0), ("fine", 2.0), ("raises", 3.0), ("raises", None), ("dies", None), ("hangs", 4.0),
        ("hangs", None), ("sees", None),
    ]  # fmt: skip
    reasons = [failed for _, _, failed in told if failed]
    assert reasons[0] == "RuntimeError: an illegal memory access"
    assert reasons[1].startswith("the process ended with -6")
    assert reasons[2] == "took longer than 3 s"
    assert facts_in(tmp_path / "out")[-1]["lines"] == 7, "each fact is on the disk before the next row begins"
    tables = (tmp_path / "out" / "tables.md").read_text()
    assert tables.startswith("Served by: ")
    assert "| 4 |" in tables, "what a row measured before it hung is kept"


@pytest.mark.slow
def test_a_script_that_is_told_to_end_leaves_its_tables_and_no_process(tmp_path: Path) -> None:
    shutil.copytree(SCRIPT.parent, tmp_path / "gpu")
    plan = PLAN.replace("time.sleep(600)", '(contact.out / "pid").write_text(str(os.getpid())); time.sleep(600)')
    (tmp_path / "gpu" / "plan.py").write_text(plan.replace('Section", 3', 'Section", 300'))
    out = tmp_path / "out"
    command = [sys.executable, str(tmp_path / "gpu" / SCRIPT.name), "--out", str(out), "--trial", "--rows", "hangs"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        end = time.monotonic() + 60
        while not (out / "pid").exists() and time.monotonic() < end:
            time.sleep(0.1)
        process.terminate()
        process.communicate()
    assert process.returncode == 143
    assert "| 4 |" in (out / "tables.md").read_text()
    with pytest.raises(ProcessLookupError):
        os.kill(int((out / "pid").read_text()), 0)


@pytest.mark.slow
def test_what_no_time_is_left_for_is_named(tmp_path: Path) -> None:
    done = run(SCRIPT, tmp_path, "--seconds", "9", "--rows", "machine", "train")
    assert done.returncode in (0, 1), done.stderr
    rows = {fact["row"]: fact for fact in facts_in(tmp_path)}
    assert rows["train w2v_bert2"]["left out"] == "no time was left"
    assert "train w2v_bert2" in (tmp_path / "tables.md").read_text()


@pytest.mark.slow
def test_the_rows_measure_and_pass_on_a_cpu(tmp_path: Path) -> None:
    pytest.importorskip("triton", reason="Triton is not installed: pip install '.[triton]' (Linux)")
    rows = ["machine", "serves", "limits", "kernel norm", "kernel attention none float32", "kernel convolution 48"]
    rows += ["states shipped float32", "states recorded", "encode WavLM Base", "one clip WavLM Base 1", "train HuBERT"]
    rows += ["parts of", "feed-forward", "cut 0", "states wavlm_tiny", "attention 500"]
    done = run(SCRIPT, tmp_path, "--rows", *rows)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    facts = facts_in(tmp_path)
    for prefix in rows:
        assert any(fact["row"].startswith(prefix) for fact in facts), prefix
    assert not [fact for fact in facts if "failed" in fact or fact.get("passed") is False]
    document = json.loads((tmp_path / "gpu.json").read_text())
    assert all(row["audio s / s"] > 0 for row in document["Encoding, clips of one length"])
    assert run(SCRIPT, tmp_path, "--report").stdout.startswith("Served by: ")


def test_a_line_that_was_cut_short_costs_no_other(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("facts", SCRIPT.parent / "facts.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    facts = module.Facts(tmp_path)
    facts.add({"row": "serves", "section": "What serves", "attention": "torch", "passed": False})
    facts.add({"row": "one", "section": "A", "ms": 1.25})
    facts.add({"row": "two", "section": "A", "what": "a | b"})
    with facts.path.open("a") as file:
        file.write('{"row": "three", "sect')
    text = module.write_tables(tmp_path)
    assert text.splitlines()[0] == "Served by: attention torch, passed False"
    assert "- failed: serves" in text
    assert "| ms | what |" in text
    assert "| 1.25 |  |" in text
    assert "a / b" in text

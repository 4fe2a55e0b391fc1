"""Self-training in processes that are killed at random moments."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from sonant.checkpoints import load_checkpoint
from sonant.training.self_training import STAGES
from tests.self_training.miniature import settings, write_corpus

pytestmark = pytest.mark.slow
KILLS = 10


def flat(values: dict[str, Any], inside: str = "") -> list[str]:
    """Return nested settings as arguments of the command line."""
    pairs = [(f"{inside}{name}", value) for name, value in values.items()]
    return [
        argument
        for name, value in pairs
        for argument in (flat(value, f"{name}.") if isinstance(value, dict) else [f"{name}={written(value)}"])
    ]


def written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def contents(folder: Path) -> dict[str, Any]:
    """Return what a run is for: results of all stages without times, texts, and weights."""
    kept: dict[str, Any] = {stage: json.loads((folder / stage / "stage.json").read_text()) for stage in STAGES}
    for stage in kept.values():
        del stage["seconds"]
    names = "ngram/lm.arpa.gz labeling/labels.jsonl selection/train.jsonl evaluation/results.md tuning/trials.jsonl"
    kept |= {name: (folder / name).read_bytes() for name in names.split()}
    kept |= {path.name: path.read_bytes() for path in sorted((folder / "evaluation").glob("test/*.jsonl"))}
    kept["stages.md"] = [line.split("|")[:4] for line in (folder / "stages.md").read_text().splitlines()]
    return kept


def test_a_run_that_is_killed_ends_with_the_same_results(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    draw = random.Random(0)

    def command(output: str) -> list[str]:
        given = flat(settings(tmp_path, tmp_path / output))
        return [sys.executable, "-m", "sonant", "self-train", "self_training", *given]

    began = time.monotonic()
    subprocess.run(command("whole"), check=True)
    whole_seconds, killed = time.monotonic() - began, 0
    for _ in range(KILLS):
        process = subprocess.Popen(command("killed"))
        lock = tmp_path / "killed" / "self_training" / "running.lock"
        lock.unlink(missing_ok=True)
        while process.poll() is None and not lock.exists():
            time.sleep(0.01)
        time.sleep(draw.uniform(0, whole_seconds / 4))
        killed += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert killed >= KILLS // 2
    subprocess.run(command("killed"), check=True)
    one, two = (contents(tmp_path / name / "self_training") for name in ("whole", "killed"))
    assert one == two
    for name in ("teacher", "ctc", "seq2seq"):
        first, second = (
            load_checkpoint(tmp_path / how / "self_training" / name / "model") for how in ("whole", "killed")
        )
        assert all(torch.equal(each, second.backbone_state[key]) for key, each in first.backbone_state.items())

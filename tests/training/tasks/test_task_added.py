"""The task in CONTRIBUTING.md, a file and a recipe of its own: it is trained, saved and served."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

import sonant
from sonant import recipes
from sonant.models import WavLMConfig
from sonant.recipes.tasks import task_run
from sonant.training.tasks import LabeledBatching, train_task
from tests.shapes import TINY
from tests.training.tasks.tones import write_model, write_tones

CONTRIBUTING = Path(__file__).parents[3] / "CONTRIBUTING.md"


def test_a_task_of_ones_own_is_trained_and_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", CONTRIBUTING.read_text(encoding="utf-8"), re.DOTALL)
    module = ModuleType("tags")
    monkeypatch.setitem(sys.modules, "tags", module)
    exec(compile(code, str(CONTRIBUTING), "exec"), module.__dict__)
    monkeypatch.setitem(recipes.TASKS, "tags", "tags")

    manifest = write_tones(tmp_path / "tones", 2)
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    manifest.write_text("".join(json.dumps(row | {"tags": f"tone+{row['pitch']}"}) + "\n" for row in rows))
    model = write_model(tmp_path / "model", WavLMConfig(**TINY))
    paths = {"model": str(model), "data": str(manifest), "output": str(tmp_path / "runs")}
    run = task_run("tags", [paths, {"training": {"steps": 30, "lr": 3e-2}, "trackers": []}])
    run = replace(run, batching=LabeledBatching(batch_seconds=4.0, max_seconds=1.0))
    scores = sonant.classify(tmp_path / "tones" / "low0.wav", model=train_task(run))
    assert list(scores) == ["high", "low", "middle", "tone", "top"]
    assert scores["tone"] > 0.9
    assert max(scores["high"], scores["middle"], scores["top"]) < 0.6

"""The inspection of a training on labels: what it says is what the run does, and nothing is written."""

import json
from pathlib import Path

import pytest

from sonant.cli import main
from sonant.errors import ConfigurationError
from sonant.models import WavLMConfig
from sonant.recipes.tasks import task_run
from sonant.training.tasks import TaskRun, train_task
from sonant.training.tasks.inspection import inspect_task
from tests.shapes import TINY
from tests.training.tasks.tones import write_model, write_tones


@pytest.fixture
def settings(tmp_path: Path) -> list[str]:
    write_tones(tmp_path / "train", 3)
    write_tones(tmp_path / "dev", 1, seed=1)
    model = write_model(tmp_path / "model", WavLMConfig(**TINY))
    paths = [f"model={model}", f"data={tmp_path / 'train'}", f"dev={tmp_path / 'dev'}", f"output={tmp_path / 'runs'}"]
    return [*paths, "label=pitch", "trackers=", "batching.batch_seconds=2", "batching.max_seconds=1"]


@pytest.fixture
def run(settings: list[str]) -> TaskRun:
    return task_run("utterance", [*settings, "training.steps=4"])


def test_what_it_says_is_what_the_run_does(run: TaskRun, settings: list[str], tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    seen = inspect_task(run)
    assert sorted(tmp_path.rglob("*")) == before
    assert seen.recordings == {"train": 12, "dev": 4}
    assert seen.classes == 4
    assert not seen.problems
    assert seen.step_seconds > 0
    assert seen.trained == 3 + 16 * 256 + 256 + 256 * 4 + 4
    assert seen.epochs == pytest.approx(4 / seen.batches)
    train_task(run)
    written = sum(path.stat().st_size for path in (tmp_path / "runs").rglob("*") if path.is_file())
    assert 0.4 * written < sum(seen.disk.values()) < 4 * written
    with pytest.raises(ConfigurationError, match="training.steps: there 4, now 5"):
        inspect_task(task_run("utterance", [*settings, "training.steps=5"]))
    (run.folder / "model").rename(run.folder / "before")
    (run.folder / "state.pt").unlink()
    assert inspect_task(task_run("utterance", [*settings, "training.steps=5"])).epochs > seen.epochs


@pytest.mark.parametrize("change", ["lora.rank=2", "cache={}/states", "augmentation.time_fraction=0.3"])
def test_other_ways_to_train_are_inspected(change: str, settings: list[str], tmp_path: Path) -> None:
    seen = inspect_task(task_run("utterance", [*settings, change.format(tmp_path)]))
    assert (seen.state_hours > 0) is change.startswith("cache")
    assert not (tmp_path / "states").exists()


def test_problems_are_told_by_the_exit_code(
    settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "utterance", *settings, "--dry-run"]) == 0
    assert "12 recordings" in capsys.readouterr().out
    manifest = tmp_path / "train" / "manifest.jsonl"
    manifest.write_text(manifest.read_text() + json.dumps({"path": "low0.wav", "pitch": "low"}) + "\n")
    assert main(["train", "utterance", *settings, "--dry-run", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert "1 of 13 rows of train" in found["inspection"]["problems"][0]
    assert found["training"]["steps"] == 2000
    assert not (tmp_path / "runs").exists()

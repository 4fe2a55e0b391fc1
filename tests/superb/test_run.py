"""Whole evaluations in miniature: what is chosen, what is shared, and evaluations that are killed."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import sonant
from sonant.checkpoints import save_pretrained
from sonant.cli import main
from sonant.errors import ConfigurationError
from sonant.models import build
from sonant.superb import SuperbEvaluation, SuperbRow
from sonant.training.tasks.feature_cache import FeatureCache
from tests.superb.miniature import MODEL, write_task, write_tiny

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("SONANT_KILLS", "5"))
SHORT = {"batching": {"batch_seconds": 4, "max_seconds": 2}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("superb")
    write_task(folder / "ks")
    write_tiny(folder)
    return folder


def evaluate(folder: Path, output: Path, *, tasks: Sequence[str] = ("ks",), **changes: Any) -> SuperbEvaluation:
    settings: dict[str, Any] = {
        "models": str(folder / "tiny"),
        "data": dict.fromkeys(tasks, folder / "ks"),
        "steps": 20,
        "changes": dict.fromkeys(tasks, SHORT),
        "output": output,
    }
    return sonant.evaluate_superb(**settings | changes)


def by_way(done: SuperbEvaluation) -> dict[str, SuperbRow]:
    return {row.way: row for row in done.rows}


def test_rates_and_layers_are_chosen_on_the_development_set(folder: Path, tmp_path: Path) -> None:
    done = evaluate(folder, tmp_path, lr=(1e-7, 3e-2), ways=("weighted", "best_layer", "fine_tuned"), steps=40)
    rows = by_way(done)
    for row in rows.values():
        assert row.folds[0].lr == 3e-2
        assert row.measures["accuracy"].value > 0.5  # of four classes
    on_dev = {
        path.name: json.loads((path / "result.json").read_text())["accuracy"]["value"]
        for path in (tmp_path / "trainings").glob("ks-best_layer-*lr0.03-state*")
    }
    assert len(on_dev) == MODEL.num_layers + 1
    chosen = rows["best_layer"].folds[0]
    assert chosen.dev == max(on_dev.values()) == on_dev[next(n for n in on_dev if n.endswith(f"state{chosen.state}"))]
    weights = rows["weighted"].weights
    assert weights is not None
    assert sum(weights.raw) == pytest.approx(1)
    assert sum(weights.scaled) == pytest.approx(1)
    assert rows["best_layer"].weights is None
    for name in ("results.md", "results.json", "index.html"):
        assert (tmp_path / name).is_file()


def test_states_are_computed_once_for_tasks_that_share_recordings(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    appended: list[int] = []
    append = FeatureCache._append

    def counting(self: FeatureCache, audio: Sequence[str], *rest: Any) -> None:
        appended.append(len(audio))
        append(self, audio, *rest)

    monkeypatch.setattr(FeatureCache, "_append", counting)
    done = evaluate(folder, tmp_path, tasks=("ks", "er"), ways=("weighted", "best_layer"), steps=2)
    assert len(done.rows) == 4
    assert sum(appended) == 3 * 12  # train, dev and test


def test_an_evaluation_goes_on_with_more_models_and_repeats_nothing(folder: Path, tmp_path: Path) -> None:
    first = evaluate(folder, tmp_path, steps=2)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("test.json")}
    both = evaluate(folder, tmp_path, steps=2, models=[str(folder / "tiny"), f"random:{folder / 'tiny'}"])
    assert both.rows[0] == first.rows[0]
    assert len(both.rows) == 2
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())


def test_trainings_of_other_settings_recordings_or_weights_are_not_taken_for_these(
    folder: Path, tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(folder, tmp_path / "copied"))
    evaluate(copied, tmp_path / "out", steps=2)
    for other in ({"steps": 4}, {"steps": 2, "seed": 1}):
        with pytest.raises(ConfigurationError, match="other settings"):
            evaluate(copied, tmp_path / "out", **other)
    manifest = copied / "ks" / "train" / "manifest.jsonl"
    rows = manifest.read_text()
    manifest.write_text(rows.partition("\n")[2])
    with pytest.raises(ConfigurationError):
        evaluate(copied, tmp_path / "out", steps=2)
    manifest.write_text(rows)
    assert evaluate(copied, tmp_path / "out", steps=2).rows
    save_pretrained(build(MODEL), copied / "tiny")
    with pytest.raises(ConfigurationError):
        evaluate(copied, tmp_path / "out", steps=2)


def test_the_command_prints_the_table(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["-m", str(folder / "tiny"), "--data", f"ks={folder / 'ks'}", "-o", str(tmp_path), "--steps", "2"]
    overrides = ["ks.batching.batch_seconds=4", "ks.batching.max_seconds=2"]
    assert main(["evaluate", "superb", *overrides, *arguments, "--dry-run"]) == 0
    assert "Nothing was trained." in capsys.readouterr().out
    assert main(["evaluate", "superb", *overrides, *arguments]) == 0
    printed = capsys.readouterr().out
    assert "ks accuracy %" in printed
    assert "wavlm-large" in printed
    assert main(["evaluate", "superb", *overrides, *arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["results"][0]["task"] == "ks"
    assert main(["evaluate", "superb", "label=word", *arguments]) == 2
    assert main(["evaluate", "superb", *arguments, "--tasks", "vc"]) == 2


def test_an_evaluation_that_is_killed_gives_the_same_table(folder: Path, tmp_path: Path) -> None:
    draw = random.Random(0)
    command = [sys.executable, "-m", "sonant", "evaluate", "superb", "-m", str(folder / "tiny"), "--steps", "30"]
    command += ["--data", f"ks={folder / 'ks'},er={folder / 'ks'}", "--ways", "weighted,best_layer"]
    command += [f"{task}.batching.{name}" for task in ("ks", "er") for name in ("batch_seconds=4", "max_seconds=2")]
    began = time.monotonic()
    subprocess.run([*command, "-o", str(tmp_path / "whole")], check=True)
    seconds, killed = time.monotonic() - began, 0
    for _ in range(KILLS):
        process = subprocess.Popen([*command, "-o", str(tmp_path / "parts")])
        time.sleep(draw.uniform(0.2, 0.5) * seconds)
        killed += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert killed >= 1
    subprocess.run([*command, "-o", str(tmp_path / "parts")], check=True)
    for name in ("results.json", "results.md", "index.html"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_features_without_weights_are_models_with_one_state(folder: Path, tmp_path: Path) -> None:
    models = ["mfcc", "log_mel", str(folder / "tiny")]
    done = evaluate(folder, tmp_path, models=models, ways=("weighted", "best_layer", "fine_tuned"), steps=2)
    assert [(row.model, row.way) for row in done.rows] == [
        *[(model, way) for model in models[:2] for way in ("weighted", "best_layer")],
        *[(models[2], way) for way in ("weighted", "best_layer", "fine_tuned")],
    ]
    first, second = done.rows[:2]
    assert (first.weights, second.folds[0].state) == (None, 0)
    encoder = sonant.load(next((tmp_path / "trainings").glob("ks-weighted-mfcc*")) / "model")
    assert encoder.classify(folder / "ks" / "test" / "low0.wav")

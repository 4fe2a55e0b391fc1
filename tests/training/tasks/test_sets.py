"""Recordings decoded once for all runs, and runs that go on with what they began with."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from sonant.data import waveforms
from sonant.errors import ConfigurationError, SonantWarning
from sonant.models import WavLMConfig
from sonant.recipes.tasks import task_run
from sonant.training.tasks import TaskRun, train_task
from sonant.training.tasks import run as execution
from sonant.training.tasks.inspection import inspect_task
from sonant.training.tasks.settings import check
from tests.shapes import TINY
from tests.training.tasks.tones import write_model, write_tones


@pytest.fixture
def run(tmp_path: Path) -> TaskRun:
    write_tones(tmp_path / "train", 2)
    settings = {
        "model": str(write_model(tmp_path / "model", WavLMConfig(**TINY))),
        "data": str(tmp_path / "train"),
        "label": "pitch",
        "output": str(tmp_path / "runs"),
        "batching": {"batch_seconds": 4, "max_seconds": 1},
        "training": {"steps": 2},
        "trackers": [],
    }
    return task_run("utterance", [settings])


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names, decode = [], waveforms._decode

    def counted(recording: Any, *given: Any, **named: Any) -> Any:
        names.append(recording.name)
        return decode(recording, *given, **named)

    monkeypatch.setattr(waveforms, "_decode", counted)
    return names


def test_runs_share_decoded_recordings(run: TaskRun, decoded: list[str], tmp_path: Path) -> None:
    train_task(run)
    assert len(decoded) == 8
    train_task(replace(run, name="again", layer="last"))
    assert len(decoded) == 8
    assert not (run.folder / "waveforms").exists()
    changed = tmp_path / "train" / "low0.wav"
    changed.write_bytes((tmp_path / "train" / "low1.wav").read_bytes())
    train_task(replace(run, name="changed"))
    assert len(decoded) == 16


@pytest.mark.parametrize("earlier", [False, True])
def test_a_run_goes_on_with_the_recordings_it_began_with(
    earlier: bool, run: TaskRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = execution.train
    monkeypatch.setattr(execution, "train", lambda *given, **named: train(*given, **named, stop_at=1) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train_task(run)
    monkeypatch.undo()
    shared = tmp_path / "runs" / "waveforms"
    if earlier:  # the place of earlier versions
        (run.folder / "waveforms").mkdir()
        next(shared.iterdir()).rename(run.folder / "waveforms" / "train")
    for recording in (tmp_path / "train").glob("*.wav"):
        recording.touch()
    train_task(run)
    assert len(list(shared.iterdir())) == (0 if earlier else 1)


def test_recordings_may_move_but_must_be_the_same(run: TaskRun, tmp_path: Path) -> None:
    finished = train_task(run)
    shutil.copytree(tmp_path / "train", tmp_path / "moved")
    assert train_task(replace(run, data=str(tmp_path / "moved"))) == finished
    write_tones(tmp_path / "others", 3, seed=3)
    with pytest.raises(ConfigurationError, match=r"began with other recordings or labels in data\. Give the same"):
        train_task(replace(run, data=str(tmp_path / "others")))


def test_a_part_that_never_learns_is_told(run: TaskRun, recwarn: pytest.WarningsRecorder) -> None:
    ctc = task_run("ctc", [{"model": "m", "data": "d", "trackers": []}])
    whole = replace(run, frozen="extractor", training=replace(ctc.training, steps=500))
    with pytest.warns(SonantWarning, match=r"steps=500: the part 'backbone' never learns. Lower .*frozen_steps=0"):
        check(whole)
    check(replace(whole, frozen="backbone"))
    check(replace(whole, training=replace(whole.training, steps=501)))
    assert not recwarn.list


def test_a_model_with_nan_is_refused(run: TaskRun) -> None:
    path = Path(run.model) / "model.safetensors"
    state = load_file(path)
    name = next(name for name in state if name.endswith("feed_forward.output_dense.weight"))
    save_file(state | {name: state[name] * float("nan")}, path, metadata={"format": "pt"})
    for start in (train_task, inspect_task):
        with pytest.raises(ConfigurationError, match=r"holds NaN or infinity .*: its training failed"):
            start(run)
    assert not run.folder.exists()

"""States of a frozen model on disk: the same training, computed once, and never of another model or recording."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from sonant.checkpoints import load_checkpoint
from sonant.errors import ConfigurationError, SonantWarning
from sonant.models import WavLMConfig
from sonant.recipes.tasks import task_run
from sonant.training.tasks import TaskRun, feature_cache, train_task
from sonant.training.tasks.objective import TaskObjective
from tests.shapes import TINY
from tests.training.tasks.tones import write_model, write_tones


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tones")
    write_tones(folder / "train", 4)
    write_tones(folder / "dev", 2, seed=1)
    write_model(folder / "model", WavLMConfig(**TINY))
    return folder


@pytest.fixture
def run(tones: Path, tmp_path: Path) -> TaskRun:
    return short_run(tones, tmp_path, cache=str(tmp_path / "cache"))


def short_run(tones: Path, output: Path, **changes: Any) -> TaskRun:
    settings = {
        "model": str(tones / "model"),
        "data": str(tones / "train"),
        "dev": str(tones / "dev"),
        "label": "pitch",
        "output": str(output),
        "batching": {"batch_seconds": 4, "max_seconds": 1},
        "training": {"steps": 4, "validate_every": 2, "save_every": 2},
        "trackers": [],
    }
    return task_run("utterance", [settings, changes])


class Calls(NamedTuple):
    """Batches whose states were computed."""

    speech: list[int]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    made, states = Calls([]), TaskObjective.states

    def counted(objective: TaskObjective, batch: Any) -> Any:
        if batch.states is None:
            made.speech.append(len(batch.speech))
        return states(objective, batch)

    monkeypatch.setattr(TaskObjective, "states", counted)
    return made


def head(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder).heads["sequence_classification"].tensors


@pytest.mark.parametrize(("dtype", "layer", "tolerance"), [("float32", "weighted", 1e-5), ("float16", "last", 1e-3)])
def test_results_are_those_without_a_cache(
    dtype: str, layer: str, tolerance: float, run: TaskRun, calls: Calls, tmp_path: Path
) -> None:
    plain = head(train_task(replace(run, layer=layer, cache="", name="plain")))  # type: ignore[arg-type]
    calls.speech.clear()
    cached = head(train_task(replace(run, layer=layer, cache_dtype=dtype)))  # type: ignore[arg-type]
    assert sum(calls.speech) == 24
    for name, tensor in plain.items():
        torch.testing.assert_close(cached[name], tensor, atol=tolerance, rtol=tolerance)
    states = next(Path(run.cache).glob("*/states.bin")).stat().st_size
    assert states % (8 * 2 * (3 if layer == "weighted" else 1)) == 0


def test_runs_share_states_by_model_and_audio(run: TaskRun, calls: Calls, tones: Path, tmp_path: Path) -> None:
    first = head(train_task(run))
    calls.speech.clear()
    again = head(train_task(replace(run, name="again")))
    assert not calls.speech
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    train_task(replace(run, name="swapped", data=run.dev, dev=run.data))
    assert not calls.speech
    other = write_model(tmp_path / "other", WavLMConfig(**TINY, normalize=True))
    train_task(replace(run, name="other", model=str(other)))
    assert sum(calls.speech) == 24


def test_damaged_states_are_computed_again(run: TaskRun, calls: Calls) -> None:
    whole = head(train_task(run))
    states, index = (next(Path(run.cache).glob(f"*/{name}")) for name in ("states.bin", "index.jsonl"))
    numbers = np.memmap(states, dtype=np.float32, mode="r+")
    numbers[5] += 1
    numbers.flush()
    calls.speech.clear()
    with pytest.warns(SonantWarning, match="states of 1 recordings are damaged"):
        damaged = head(train_task(replace(run, name="damaged")))
    assert calls.speech == [1]
    assert all(torch.allclose(tensor, damaged[name], atol=1e-6) for name, tensor in whole.items())
    lines = index.read_text().splitlines(keepends=True)
    index.write_text("".join(lines[:-2]) + lines[-2][:9])
    states.write_bytes(states.read_bytes()[:-2])
    calls.speech.clear()
    with pytest.warns(SonantWarning, match="damaged"):  # the sound copy was cut off
        train_task(replace(run, name="cut"))
    assert sum(calls.speech) == 2
    index.write_bytes(b"\xff\xfe\n[]\n" + index.read_bytes())
    calls.speech.clear()
    train_task(replace(run, name="junk"))
    assert sum(calls.speech) == len(lines) - 1
    settings = states.parent / "settings.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"model": "sha256:0"}))
    with pytest.raises(ConfigurationError, match="model: there 'sha256:0'"):
        train_task(replace(run, name="foreign"))


def test_an_interrupted_computation_goes_on(run: TaskRun, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = feature_cache._batches
    monkeypatch.setattr(feature_cache, "_batches", lambda *given: [*batches(*given)[:2], [""]])
    with pytest.raises(KeyError):
        train_task(run)
    monkeypatch.undo()
    assert not run.is_trained
    train_task(run)


def test_a_disk_that_is_too_small_is_refused(run: TaskRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_cache.shutil, "disk_usage", lambda _: type("", (), {"free": 1000}))
    with pytest.raises(ConfigurationError, match=r"take .* GB in .*cache_dtype=float16"):
        train_task(run)


def test_states_that_change_are_not_kept(run: TaskRun, tones: Path, tmp_path: Path) -> None:
    with pytest.warns(SonantWarning, match="cache is not used"):
        train_task(short_run(tones, tmp_path, cache=run.cache, augmentation={"speeds": [0.9, 1.0]}))
    assert not Path(run.cache).exists()
    for changes in ({"frozen": "extractor"}, {"lora": {"rank": 2}}):
        with pytest.raises(ConfigurationError, match="model that is not trained"):
            train_task(short_run(tones, tmp_path / "no", cache=run.cache, **changes))


def test_numbers_beyond_float16_are_refused(tmp_path: Path) -> None:
    kind = feature_cache.StateKind("m", ("last",), 2, "float32", "float16")
    with pytest.raises(ConfigurationError, match="cache_dtype=float32"):
        feature_cache.FeatureCache(tmp_path, kind)._stored(np.full((1, 1, 2), 1e6, np.float32))

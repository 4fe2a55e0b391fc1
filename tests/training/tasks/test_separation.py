"""Separation and enhancement, from the manifests to a model that separates."""

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from sonant import audio
from sonant.checkpoints import load_checkpoint
from sonant.errors import ConfigurationError, ManifestError, SonantWarning
from sonant.evaluation import stoi
from sonant.models import WavLMConfig
from sonant.recipes.tasks import task_run
from sonant.training.tasks import EnhancementTask, MaskTask, SeparationTask, TaskRun, train_task
from sonant.training.tasks import run as execution
from sonant.training.tasks.inspection import inspect_task
from sonant.training.tasks.results import Prediction
from tests.shapes import TINY
from tests.training.tasks.mixed_voices import write_mixtures, write_noises, write_rows, write_voices
from tests.training.tasks.tones import write_model

SHORT = {"steps": 4, "validate_every": 2, "log_every": 2, "save_every": 2}
SMALL_NETWORK = {"hidden_dim": 8, "num_layers": 1}


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("voices")
    write_voices(folder / "train", 3)
    write_mixtures(folder / "mixtures", 2)
    write_noises(folder / "noise")
    write_model(folder / "model", WavLMConfig(**TINY))
    return folder


def short_run(name: str, voices: Path, output: Path, **changes: Any) -> TaskRun:
    task = SMALL_NETWORK | changes.pop("task", {})
    settings = {
        "model": str(voices / "model"),
        "data": str(voices / "train"),
        "output": str(output),
        "batching": {"batch_seconds": 2, "max_seconds": 1},
        "augmentation": {"crop_seconds": 0.0},
        "training": SHORT,
        "trackers": [],
        "task": task,
    }
    return task_run(name, [settings, changes])


def tensors(folder: Path, kind: str = "separation") -> dict[str, torch.Tensor]:
    return load_checkpoint(folder).heads[kind].tensors


def test_an_interrupted_run_ends_with_the_same_bits(
    voices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = {
        "dev": str(voices / "mixtures"),
        "augmentation": {"crop_seconds": 0.25},
        "task": {"mixing": {"noise": str(voices / "noise"), "noise_probability": 0.5}},
    }
    expected = tensors(train_task(short_run("separation", voices, tmp_path / "whole", **changes)))
    measured = json.loads((tmp_path / "whole/separation/result.json").read_text())
    assert measured["recordings"] == 2
    assert measured["si_sdr_improvement"]["low"] <= measured["si_sdr_improvement"]["value"]

    run = short_run("separation", voices, tmp_path / "interrupted", **changes)
    train = execution.train

    def stop(*arguments: Any, **options: Any) -> None:
        train(*arguments, **options, stop_at=3)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(execution, "train", stop)
        with pytest.raises(KeyboardInterrupt):
            train_task(run)
    torch.manual_seed(99)
    found = tensors(train_task(run))
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_other_noises_are_refused_when_a_run_goes_on(voices: Path, tmp_path: Path) -> None:
    noise = write_noises(tmp_path / "noise")
    run = short_run("enhancement", voices, tmp_path, task={"mixing": {"noise": str(noise)}})
    train_task(run)
    write_voices(tmp_path / "others", 1)
    with pytest.raises(ConfigurationError, match="other recordings or labels in data|noise"):
        train_task(
            replace(run, task=replace(run.task, mixing=replace(run.task.mixing, noise=str(tmp_path / "others"))))
        )


def test_states_of_given_mixtures_come_from_a_cache(voices: Path, tmp_path: Path) -> None:
    given = {"data": str(voices / "mixtures"), "task": {"mixtures": "given"}}
    plain = tensors(train_task(short_run("separation", voices, tmp_path / "plain", **given)))
    cached = tensors(
        train_task(short_run("separation", voices, tmp_path / "kept", cache=str(tmp_path / "states"), **given))
    )
    for name, tensor in plain.items():
        torch.testing.assert_close(cached[name], tensor, atol=1e-3, rtol=1e-3)


def test_a_run_is_inspected(voices: Path, tmp_path: Path) -> None:
    seen = inspect_task(short_run("separation", voices, tmp_path))
    assert seen.recordings == {"train": 6}
    assert not seen.problems


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([{"path": "0.wav", "source_1": "0_1.wav"}], "only source_1 of source_1, source_2"),
        ([{"path": "0.wav", "source_1": "0_1.wav", "source_2": "9.wav"}], "there is no .*9.wav"),
        ([{"path": "0.wav"}], "no 'speaker'"),
        ([{"path": "0.wav", "source_1": "0_1.wav", "source_2": "short.wav"}], "sources have"),
        ([{"path": "0.wav", "speaker": "a"}], "the recordings are of 1"),
    ],
)
def test_rows_that_cannot_be_learned_from_are_told(
    voices: Path, tmp_path: Path, rows: list[dict[str, str]], why: str
) -> None:
    soundfile.write(voices / "mixtures/short.wav", np.full(5_000, 0.1), 16_000)
    manifest = write_rows(voices / "mixtures" / "wrong.jsonl", rows)
    with pytest.raises(ManifestError, match=why):
        train_task(short_run("separation", voices, tmp_path, data=str(manifest)))


def test_given_mixtures_are_asked_for_their_sources(voices: Path, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="have sources that cannot be used: correct them.*none of clean, nor 'mix'"):
        train_task(short_run("enhancement", voices, tmp_path, task={"mixtures": "given"}))
    with pytest.raises(ConfigurationError, match="mixing.noise=PATH"):
        train_task(short_run("enhancement", voices, tmp_path))
    with pytest.raises(ConfigurationError, match="leave its sources as they are"):
        train_task(short_run("separation", voices, tmp_path, augmentation={"speeds": [0.9, 1.0]}))
    given = {"task": {"mixtures": "given"}, "cache": str(tmp_path), "augmentation": {"crop_seconds": 0.5}}
    with pytest.raises(ConfigurationError, match="kept of whole ones"):
        train_task(short_run("separation", voices, tmp_path, **given))


def test_speakers_of_a_mix_are_its_sources(voices: Path, tmp_path: Path) -> None:
    parts = [
        {"path": str(voices / "train/low0.wav"), "speaker": "a"},
        {"path": str(voices / "train/high0.wav"), "start": 0.1, "gain_db": -3, "speaker": "b"},
        {"path": str(voices / "noise/0.wav")},
    ]
    manifest = write_rows(tmp_path / "mix.jsonl", [{"mix": parts, "duration": 0.4}])  # type: ignore[dict-item]
    task = SeparationTask()
    (entry,) = task.recordings(str(manifest), "target")
    first, second = (audio.read(each.audio, sampling_rate=16_000) for each in task.sources(entry))
    assert len(first) == len(second) == 6_400
    assert not second[:1_500].any()
    assert first[:1_500].any()
    train_task(short_run("separation", voices, tmp_path, data=str(manifest), task={"mixtures": "given"}))


@pytest.mark.parametrize(
    ("task", "settings"), [(SeparationTask, {"num_speakers": 3}), (EnhancementTask, {"targets": ()})]
)
def test_every_source_needs_a_field(task: type[MaskTask], settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="one field for each"):
        task(**settings)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["si_sdr", "phase_sensitive"])
def test_voices_are_told_apart(voices: Path, tmp_path: Path, objective: str) -> None:
    training = {"steps": 80, "lr": 1e-2, "validate_every": 40, "save_every": 40, "log_every": 20}
    task = {"hidden_dim": 16, "objective": objective}
    run = short_run("separation", voices, tmp_path, dev=str(voices / "mixtures"), training=training, task=task)
    train_task(run)
    measured = json.loads((run.folder / "result.json").read_text())
    assert measured["si_sdr_improvement"]["value"] > 3


def test_silent_sources_are_told_where_nothing_is_left_to_measure() -> None:
    silent = Prediction(torch.zeros(800, 3), torch.zeros(800, 2), None)
    with pytest.warns(SonantWarning, match="Of 1 recordings, 1 have a silent source, and 0 are"):
        assert SeparationTask().result([silent], []).measures == {"recordings": 0, "silent": 1, "clean": 0}


def test_mixtures_that_are_a_source_are_counted_and_left_out() -> None:
    """Their SI-SDR is that of the rounding, whose loss by any filter would outweigh all other recordings."""
    rng = np.random.default_rng(0)
    speech, noise = rng.normal(0, 0.1, (2, 8_000))
    found = speech + 0.1 * noise
    rounded = np.round(speech * 32_768) / 32_768
    noisy, clean, exact = (
        Prediction(torch.from_numpy(np.stack([found, mixture], 1)), torch.from_numpy(speech)[:, None], None)
        for mixture in (speech + noise, rounded, speech)
    )
    alone = EnhancementTask().result([noisy], []).measures
    assert EnhancementTask().result([noisy, clean, exact], []).measures == alone | {"clean": 2}
    with pytest.warns(SonantWarning, match="Of 2 recordings, 0 have a silent source, and 2 are a source themselves"):
        assert EnhancementTask().result([clean, exact], []).measures == {"recordings": 0, "silent": 0, "clean": 2}


def test_quality_is_measured_of_recordings_that_are_long_enough() -> None:
    rng, samples = np.random.default_rng(0), 16_000
    clean = rng.normal(0, 0.1, samples) * (1 + np.sin(2 * np.pi * 3 * np.arange(samples) / samples))
    noisy = clean + rng.normal(0, 0.05, samples)
    found = torch.from_numpy(np.stack([(clean + noisy) / 2, noisy], 1)).float()
    target = torch.from_numpy(clean)[:, None].float()
    long, short = Prediction(found, target, "a"), Prediction(found[:3_000], target[:3_000], "b")
    measures = EnhancementTask().result([long, short], []).measures
    expected = stoi(found[:, 0].numpy(), target[:, 0].numpy(), 16_000)
    assert measures["recordings"] == 2
    assert measures["stoi"]["value"] == pytest.approx(expected, abs=1e-6)
    assert ("pesq" in measures) == (find_spec("pesq") is not None)
    assert "stoi" not in EnhancementTask().result([short], []).measures

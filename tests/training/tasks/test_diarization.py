"""Diarization and classes by frame, from mixtures of tones to a model that finds them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import sonant
from sonant import audio
from sonant.checkpoints import load_checkpoint
from sonant.data import read_manifest
from sonant.decoding.results import SpeakerTurn
from sonant.evaluation import DiarizationError, diarization_error
from sonant.models import WavLMConfig
from sonant.recipes.tasks import task_run
from sonant.training.tasks import train_task
from tests.shapes import SMALL
from tests.training.tasks.tones import PITCHES, write_model

SECONDS = 1.6


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Mixtures of two tones, one of which begins before the other ends."""
    folder = tmp_path_factory.mktemp("mixtures")
    rng = np.random.default_rng(0)
    for name, pitch in PITCHES.items():
        time = np.arange(16_000) / 16_000
        soundfile.write(folder / f"{name}.wav", 0.2 * np.sin(2 * np.pi * pitch * time), 16_000)
    for name, number in (("train", 12), ("dev", 4)):
        rows = []
        for each in range(number):
            starts = np.round(rng.uniform((0, 0.5), (0.2, 0.8)), 2).tolist()
            parts = [
                {"path": f"{tone}.wav", "speaker": tone, "start": start, "clip": [0.0, 0.7]}
                for tone, start in zip(rng.permutation(["low", "top"]).tolist(), starts, strict=True)
            ]
            rows.append(json.dumps({"id": f"{name}{each}", "duration": SECONDS, "mix": parts}) + "\n")
        (folder / f"{name}.jsonl").write_text("".join(rows))
    write_model(folder / "model", WavLMConfig(**SMALL))
    return folder


def trained(corpus: Path, output: Path, name: str, **changes: Any) -> tuple[Path, dict[str, Any]]:
    settings = {
        "model": str(corpus / "model"),
        "data": str(corpus / "train.jsonl"),
        "dev": str(corpus / "dev.jsonl"),
        "output": str(output),
        "cache": str(output / "states"),
        "batching": {"batch_seconds": 10, "max_seconds": SECONDS},
        "training": {"steps": 50, "lr": 2e-2, "validate_every": 25, "save_every": 50, "log_every": 25},
        "trackers": [],
    }
    run = task_run(name, [settings, changes])
    return train_task(run), json.loads((run.folder / "result.json").read_text())


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("diarization", {"lstm_dim": 0}),
        ("diarization_powerset", {"num_speakers": 2, "lstm_dim": 8, "lstm_layers": 1}),
    ],
)
def test_speakers_are_found_in_mixtures(corpus: Path, tmp_path: Path, name: str, task: dict[str, Any]) -> None:
    folder, result = trained(corpus, tmp_path, name, task=task)
    assert result["der"]["low"] <= result["der"]["value"] <= result["der"]["high"]
    assert result["der"]["value"] == pytest.approx(result["missed"] + result["false_alarm"] + result["confusion"])
    assert result["der"]["value"] == min(each["der"] for each in result["der_by_setting"]) < 0.3
    notes = load_checkpoint(folder).heads["frame_classification"].metadata
    assert notes["threshold"] == result["threshold"]
    errors = []
    encoder = sonant.load(folder)
    for entry in read_manifest(corpus / "dev.jsonl"):
        assert entry.mixture is not None
        reference = [SpeakerTurn(part.fields["speaker"], part.start, part.start + 0.7) for part in entry.mixture.parts]
        errors.append(diarization_error(reference, encoder.diarize(audio.read(entry.audio))))
    assert DiarizationError.total(errors).rate == pytest.approx(result["der"]["value"], abs=0.08)  # of whole frames


@pytest.mark.parametrize("several", [True, False])
def test_classes_of_frames_are_found(corpus: Path, tmp_path: Path, several: bool) -> None:
    rows = [json.loads(line) for line in (corpus / "train.jsonl").read_text().splitlines()]
    for row in rows:
        first, second = row["mix"]
        first["clip"] = [0.0, second["start"] - first["start"]]  # without overlaps
        row["segments"] = [[part["start"], part["start"] + part["clip"][1], part["speaker"]] for part in row["mix"]]
    for name, some in (("train", rows[:8]), ("dev", rows[8:])):
        (tmp_path / f"{name}.jsonl").write_text(
            "".join(json.dumps(row).replace('"path": "', f'"path": "{corpus}/') + "\n" for row in some)
        )
    sets = {name: str(tmp_path / f"{file}.jsonl") for name, file in (("data", "train"), ("dev", "dev"))}
    folder, result = trained(corpus, tmp_path, "frames", task={"several": several}, **sets)
    assert result["macro_f1"]["value"] > 0.8
    assert {"low", "top"} <= result["classes"].keys()
    entry = read_manifest(sets["dev"])[0]
    found = sonant.load(folder).diarize(audio.read(entry.audio))
    assert {turn.speaker for turn in found} == {"low", "top"}
    reference = [SpeakerTurn(label, start, end) for start, end, label in entry.fields["segments"]]
    assert diarization_error(reference, found).rate < 0.3


@pytest.mark.slow
def test_transformers_computes_the_same_logits(corpus: Path, tmp_path: Path) -> None:
    from transformers import WavLMForAudioFrameClassification

    from sonant.layers.packed import Packed

    folder, _ = trained(corpus, tmp_path, "frames", training={"steps": 2}, task={"lstm_dim": 0})
    theirs = WavLMForAudioFrameClassification.from_pretrained(folder).eval()
    encoder = sonant.load(folder)
    clip = torch.randn(4000, generator=torch.Generator().manual_seed(0))
    states = torch.from_numpy(encoder.encode(clip.numpy(), layer="all"))
    states[-1] = torch.from_numpy(encoder.encode(clip.numpy(), layer="last"))
    with torch.no_grad():
        ours = encoder.heads["frame_classification"](Packed.pack([states.transpose(0, 1)])).values
        torch.testing.assert_close(ours, theirs(clip[None]).logits[0], atol=1e-4, rtol=1e-4)

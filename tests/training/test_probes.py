"""Probes during training: what they measure, and that the training does not notice them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sonant.checkpoints import load_backbone
from sonant.errors import ConfigurationError, ManifestError, MeasurementError
from sonant.models import WavLMConfig, build
from sonant.pretraining import Batching, MaskedPredictionConfig, MFCCTargets
from sonant.training import Training
from sonant.training.pretrain import pretrain
from sonant.training.probes import Probes, ProbeSettings
from sonant.training.runs import PretrainingRun, Stage
from tests.shapes import TINY
from tests.training.corpus import write_corpus

PITCHES = {"low": 200.0, "high": 1900.0}


def tones(folder: Path, *, speakers: int = 4, repeats: int = 2, seconds: float = 0.4) -> Path:
    """Words that are pitches, by speakers that whistle, in noise."""
    folder.mkdir(parents=True)
    generator, rows = np.random.default_rng(0), []
    for speaker in range(speakers):
        for word, pitch in PITCHES.items():
            for repeat in range(repeats):
                name = f"{speaker}-{word}-{repeat}.wav"
                time = np.arange(round(16_000 * seconds)) / 16_000
                tone = sum(np.sin(2 * np.pi * hertz * time) for hertz in (pitch, 3000 + 1200 * speaker))
                soundfile.write(folder / name, 0.1 * tone + 0.01 * generator.normal(size=len(time)), 16_000)
                rows.append(json.dumps({"path": name, "label": word, "speaker": f"s{speaker}"}))
    (folder / "manifest.jsonl").write_text("\n".join(rows) + "\n")
    return folder / "manifest.jsonl"


@pytest.fixture
def run(tmp_path: Path) -> PretrainingRun:
    stage = Stage(
        name="mfcc",
        objective=MaskedPredictionConfig(targets=MFCCTargets(num_clusters=8)),
        batching=Batching(batch_seconds=4.0, max_seconds=2.0, min_seconds=0.5),
        training=Training(steps=6, lr=1e-3, log_every=2, save_every=2),
    )
    return PretrainingRun(
        name="tiny",
        model=WavLMConfig(**TINY, layerdrop=0.1),
        stages=(stage,),
        data=str(write_corpus(tmp_path / "speech", [20_000, 33_000, 48_000, 16_000])),
        output=str(tmp_path / "runs"),
        trackers=(),
    )


def test_a_run_with_probes_makes_the_weights_of_one_without(run: PretrainingRun, tmp_path: Path) -> None:
    plain = load_backbone(pretrain(run)).state_dict()
    manifest = str(tones(tmp_path / "tones"))
    probes = ProbeSettings(labels=manifest, speakers=manifest, every=2)
    probed = pretrain(replace(run, name="probed", probes=probes))
    weights = load_backbone(probed).state_dict()
    assert all(torch.equal(plain[name], weights[name]) for name in plain)
    reports = [json.loads(line) for line in (probed.parent / "metrics.jsonl").read_text().splitlines()]
    measures = [report for report in reports if "probe_label_accuracy_mean" in report]
    assert [report["step"] for report in measures] == [2, 4, 6]
    for report in measures:
        names = [f"probe_{name}_{pool}" for name in ("label_accuracy", "speaker_eer") for pool in ("mean", "mean_std")]
        assert all(0 <= report[name] <= 1 for name in names)


def test_probes_tell_pitches_and_whistles_apart_and_leave_the_model_as_it_was(tmp_path: Path) -> None:
    manifest = str(tones(tmp_path / "tones", speakers=5, repeats=8))
    torch.manual_seed(0)
    model = build(WavLMConfig(**TINY)).train()
    probes = Probes(ProbeSettings(labels=manifest, speakers=manifest, layer=0))
    probes.read(16_000)
    before = torch.get_rng_state()
    measures = probes(model)
    assert measures["probe_label_accuracy_mean_std"] > 0.65  # of two words, by random weights
    assert measures["probe_speaker_eer_mean_std"] < 0.4
    assert measures == probes(model)
    assert model.training
    assert torch.equal(before, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_recordings_are_cut(tmp_path: Path) -> None:
    manifest = str(tones(tmp_path / "tones", seconds=1.0))
    probes = Probes(ProbeSettings(labels=manifest, max_seconds=0.25))
    probes.read(16_000)
    assert {len(waveform) for waveform in probes._label_clips.waveforms} == {4000}


def test_manifests_that_cannot_be_probed_are_refused(tmp_path: Path) -> None:
    manifest = tones(tmp_path / "tones")
    lines = manifest.read_text().splitlines()
    (tmp_path / "tones" / "17.wav").write_bytes((tmp_path / "tones" / "0-low-0.wav").read_bytes())
    manifest.write_text("\n".join([*lines, json.dumps({"path": "17.wav", "speaker": "s0"})]))
    with pytest.raises(ManifestError, match="(?s)The probe .*1 of 17 rows .*'label'"):
        Probes(ProbeSettings(labels=str(manifest))).read(16_000)
    manifest.write_text("\n".join([*lines, json.dumps({"path": "gone.wav", "label": "low", "speaker": "s0"})]))
    with pytest.raises(ManifestError, match="(?s)cannot be.*gone.wav"):
        Probes(ProbeSettings(labels=str(manifest))).read(16_000)
    manifest.write_text("\n".join(line for line in lines if '"s0"' in line))
    for settings in (ProbeSettings(labels=str(manifest)), ProbeSettings(speakers=str(manifest))):
        with pytest.raises(MeasurementError, match="speakers"):
            Probes(settings).read(16_000)


def test_a_layer_that_the_model_lacks_is_refused(run: PretrainingRun) -> None:
    with pytest.raises(ConfigurationError, match=r"probes\.layer=9"):
        pretrain(replace(run, probes=ProbeSettings(layer=9)))

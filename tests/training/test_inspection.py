"""The inspection of a run: it finds what the run would find, and writes nothing."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sonant.data import WaveformStore, read_manifest
from sonant.errors import CheckpointUnavailable, ConfigurationError, ManifestError
from sonant.pretraining import LayerTargets, MaskedPredictionConfig
from sonant.training import inspection as inspection_module
from sonant.training.inspection import Inspection, inspect
from sonant.training.pretrain import pretrain
from sonant.training.runs import PretrainingRun
from tests.training.corpus import write_corpus
from tests.training.test_pretrain import BATCHING, FIRST, MODEL, SECOND


@pytest.fixture
def run(tmp_path: Path) -> PretrainingRun:
    return PretrainingRun(
        name="tiny",
        model=MODEL,
        stages=(FIRST, SECOND),
        data=str(write_corpus(tmp_path / "speech", [20_000, 33_000, 48_000, 16_000, 25_000, 31_000])),
        noise=str(write_corpus(tmp_path / "noise", [9_000, 40_000])),
        impulse_responses=str(write_corpus(tmp_path / "impulse_responses", [3_000])),
        output=str(tmp_path / "runs"),
    )


def found(run: PretrainingRun) -> Inspection:
    return inspect(run, limit_seconds=0.0)


def files(folder: Path) -> Iterator[tuple[str, int]]:
    return ((str(each), each.stat().st_mtime_ns) for each in sorted(folder.rglob("*")))


def test_a_good_run_has_no_problem_and_nothing_is_written(run: PretrainingRun, tmp_path: Path) -> None:
    before = list(files(tmp_path))
    seen = found(run)
    assert list(files(tmp_path)) == before
    assert seen.problems == ()
    assert seen.hours == pytest.approx(173_000 / 16_000 / 3600)
    assert [stage.name for stage in seen.stages] == ["mfcc", "layer1"]
    for stage in seen.stages:
        assert stage.step is not None
        assert stage.hours(stage.step.lowest) <= stage.hours(stage.step.highest)
    assert seen.stages[1].target_hours > seen.stages[0].target_hours == 0


def test_it_forecasts_the_batches_and_the_files_of_the_run(run: PretrainingRun) -> None:
    seen = found(run)
    folder = pretrain(run).parents[1]
    store = WaveformStore.build(read_manifest(run.data), folder / "waveforms")
    epoch = BATCHING.sampler(
        store.lengths, 16_000, stride=MODEL.stride, receptive_field=MODEL.receptive_field, seed=run.seed + 1
    ).epoch(0)
    stage = seen.stages[1]
    assert stage.batches == len(epoch)
    assert stage.filled == pytest.approx(sum(length for layout in epoch for _, length in layout) / len(epoch) / 64_000)
    assert stage.epochs == pytest.approx(SECOND.training.steps / len(epoch))
    assert (folder / "waveforms" / "samples.i16").stat().st_size == seen.disk["speech"]
    mixed = sum((folder / "waveforms" / name / "samples.f32").stat().st_size for name in ("noise", "impulse_responses"))
    assert mixed == seen.disk["noises and impulse responses"]
    labels = sum((folder / name / "targets" / "labels.u16").stat().st_size for name in ("mfcc", "layer1"))
    assert labels == pytest.approx(seen.disk["labels"], rel=0.02)
    states = sum((folder / name / "state.pt").stat().st_size for name in ("mfcc", "layer1"))
    models = sum((folder / name / "model" / "model.safetensors").stat().st_size for name in ("mfcc", "layer1"))
    assert 0.7 < seen.disk["states and models"] / (states + models) < 1.5  # one state more, while it is saved
    assert found(run).problems == ()  # and again beside the finished run


@pytest.mark.parametrize(
    ("broken", "message"),
    [("speech", "1 of 6 recordings looked at cannot be read"), ("noise", "None of these may be unreadable")],
)
def test_recordings_that_cannot_be_read_are_a_problem(
    run: PretrainingRun, tmp_path: Path, broken: str, message: str
) -> None:
    (tmp_path / broken / "1.wav").write_bytes(b"no audio")
    (problem,) = found(run).problems
    assert message in problem
    assert "1.wav" in problem


def test_a_list_that_is_not_there_is_an_error(run: PretrainingRun) -> None:
    with pytest.raises(ManifestError):
        found(replace(run, noise="nowhere.jsonl"))


def test_batches_and_clusters_that_do_not_fit_the_recordings_are_named(run: PretrainingRun) -> None:
    long = replace(FIRST, batching=replace(BATCHING, min_seconds=10.0, max_seconds=10.0, batch_seconds=10.0))
    (problem,) = found(replace(run, stages=(replace(long, extractor_steps=0),), impulse_responses="")).problems
    assert problem.startswith("stages.mfcc: None of the 6 recordings has 160000 samples")
    objective = MaskedPredictionConfig(targets=LayerTargets(layer=1, num_clusters=600))
    (problem,) = found(replace(run, stages=(FIRST, replace(SECOND, objective=objective)))).problems
    assert "600 clusters would be fitted on about 540 frames of 6 recordings" in problem
    few = replace(objective, targets=LayerTargets(layer=1, num_clusters=100))
    (warning,) = found(replace(run, stages=(FIRST, replace(SECOND, objective=few)))).warnings
    assert "100 clusters would be fitted" in warning


def test_odd_lengths_of_a_run_are_warned_of(run: PretrainingRun) -> None:
    many = replace(SECOND, training=replace(SECOND.training, grad_accumulation=50))
    (warning,) = found(replace(run, stages=(FIRST, many))).warnings
    assert "a step takes 50 batches, and an epoch has" in warning
    long = replace(SECOND, training=replace(SECOND.training, steps=1_000_000))
    (warning,) = found(replace(run, stages=(FIRST, long))).warnings
    assert "times. Lower stages.layer1.training.steps" in warning


def test_a_full_disk_is_a_problem(run: PretrainingRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection_module, "disk_free", lambda _: 1000)
    (problem,) = found(run).problems
    assert "output=PATH" in problem


def test_a_teacher_that_is_not_here_is_said_or_missed(run: PretrainingRun, tmp_path: Path) -> None:
    alone = replace(run, stages=(replace(SECOND, start="fresh"),), teacher="nobody/wavlm-nowhere")
    (warning,) = found(alone).warnings
    assert warning.startswith("nobody/wavlm-nowhere is not on this machine")
    with pytest.raises(CheckpointUnavailable):
        found(replace(alone, teacher=str(tmp_path / "nowhere")))


def test_a_folder_of_another_run_is_refused(run: PretrainingRun) -> None:
    pretrain(run)
    assert (run.folder / "run.json").exists()
    with pytest.raises(ConfigurationError, match="seed: there 0, now 1"):
        found(replace(run, seed=1))

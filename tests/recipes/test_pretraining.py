"""A whole run on a tiny corpus: targets, stages, interruption, and a model that loads."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import sonant.recipes.pretraining as recipe_module
from sonant.audio.augment import Mixing
from sonant.checkpoints import load_backbone
from sonant.errors import ConfigurationError, ManifestError
from sonant.models import Wav2VecConfig, WavLMConfig
from sonant.pretraining import (
    Batching,
    FutureContrastConfig,
    LayerTargets,
    MaskedPredictionConfig,
    MFCCTargets,
    W2vBERTObjectiveConfig,
)
from sonant.recipes.pretraining import ObjectiveConfig, PretrainingRun, Stage, pretrain
from sonant.training import Training, train
from tests.shapes import TINY

MODEL = WavLMConfig(**TINY, layerdrop=0.1)
BATCHING = Batching(batch_seconds=4.0, max_seconds=2.0, min_seconds=0.5)
TRAINING = Training(steps=6, peak_rate=1e-3, log_every=2, save_every=2)
FIRST = Stage(
    name="mfcc",
    objective=MaskedPredictionConfig(targets=MFCCTargets(num_clusters=8)),
    extractor_steps=4,
    batching=replace(BATCHING, reverb_probability=0.5),
    mixing=Mixing(probability=0.0),
    training=TRAINING,
)
SECOND = Stage(
    name="layer1",
    objective=MaskedPredictionConfig(targets=LayerTargets(layer=1, num_clusters=5)),
    start="previous",
    batching=BATCHING,
    mixing=Mixing(probability=1.0, noise_share=0.5),
    training=TRAINING,
)


def write_corpus(folder: Path, lengths: list[int]) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(len(lengths))
    lines = []
    for number, samples in enumerate(lengths):
        soundfile.write(folder / f"{number}.wav", rng.normal(0, 0.1, samples), 16_000)
        lines.append(json.dumps({"path": f"{number}.wav"}))
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def run(tmp_path: Path) -> PretrainingRun:
    return PretrainingRun(
        name="tiny",
        model=MODEL,
        stages=(FIRST, SECOND),
        data=str(write_corpus(tmp_path / "speech", [20_000, 33_000, 48_000, 16_000, 25_000, 31_000])),
        noise=str(write_corpus(tmp_path / "noise", [9_000, 40_000])),
        rooms=str(write_corpus(tmp_path / "rooms", [3_000])),
        output=str(tmp_path / "runs"),
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_backbone(folder).state_dict()


def test_a_run_interrupted_in_every_part_equals_a_run_that_was_not(
    run: PretrainingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pretrain(run)
    interrupted = replace(run, output=str(tmp_path / "interrupted"))

    class Interruption(Exception):
        pass

    for stage, step in (("extractor", 2), ("mfcc", 3), ("layer1", 5)):

        def stop(*args: object, stage: str = stage, step: int = step, **options: object) -> None:
            if Path(args[3]).name == stage:
                train(*args, **options, stop_at=step)
                raise Interruption
            train(*args, **options)

        monkeypatch.setattr(recipe_module, "train", stop)
        with pytest.raises(Interruption):
            pretrain(interrupted)
    monkeypatch.setattr(recipe_module, "train", train)
    expected, resumed = weights(whole), weights(pretrain(interrupted))
    assert expected.keys() == resumed.keys()
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)


def test_a_run_leaves_its_configuration_metrics_and_clusters(run: PretrainingRun) -> None:
    folder = pretrain(run).parent.parent
    assert json.loads((folder / "run.json").read_text())["stages"][1]["objective"]["targets"]["layer"] == 1
    assert (folder / "curves.png").stat().st_size > 10_000
    for stage in run.stages:
        reports = [json.loads(line) for line in (folder / stage.name / "metrics.jsonl").read_text().splitlines()]
        assert [report["step"] for report in reports] == [2, 4, 6]
        assert {"loss", "masked_accuracy", "unmasked_accuracy", "masked_entropy", "rate"} <= reports[0].keys()
        assert (folder / stage.name / "targets" / "kmeans.safetensors").exists()


def test_another_seed_gives_another_model(run: PretrainingRun) -> None:
    first = weights(pretrain(run))
    second = weights(pretrain(replace(run, seed=1, name="other")))
    assert not torch.equal(first["mask_embedding"], second["mask_embedding"])


def test_a_teacher_stands_before_the_first_stage(run: PretrainingRun) -> None:
    teacher = pretrain(replace(run, stages=(FIRST,), name="teacher"))
    continued = pretrain(replace(run, stages=(SECOND,), teacher=str(teacher), name="continued"))
    assert weights(continued).keys() == weights(teacher).keys()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": ""}, "data=PATH"),
        ({"stages": (SECOND,)}, "teacher=MODEL"),
        ({"noise": ""}, "noises"),
        ({"rooms": ""}, "impulse responses"),
    ],
)
def test_a_run_that_lacks_something_says_what(run: PretrainingRun, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        pretrain(replace(run, **changes))


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (FutureContrastConfig(), "Future contrast works on wav2vec and vq-wav2vec; the run's model is a Waveform"),
        (W2vBERTObjectiveConfig(), "works on w2v-BERT 2.0; the run's model is a WaveformTransformer"),
    ],
)
def test_an_objective_that_cannot_train_the_model_says_which_it_can(
    run: PretrainingRun, objective: ObjectiveConfig, message: str
) -> None:
    stage = Stage(name="wrong", objective=objective, batching=BATCHING, training=TRAINING)
    with pytest.raises(ConfigurationError, match=message):
        pretrain(replace(run, stages=(stage,)))


def test_a_model_that_cannot_predict_is_refused_before_its_targets_are_made(run: PretrainingRun) -> None:
    convolutions = Wav2VecConfig(conv_channels=(8,) * 5, context_kernels=(3, 3))
    with pytest.raises(ConfigurationError, match="Masked prediction works on wav2vec 2.0, HuBERT, WavLM and w2v-BERT"):
        pretrain(replace(run, model=convolutions, stages=(replace(FIRST, extractor_steps=0),)))
    assert not (Path(run.output) / run.name / "mfcc" / "targets").exists()


def test_a_stage_of_another_shape_cannot_start_from_the_last(run: PretrainingRun) -> None:
    teacher = pretrain(replace(run, stages=(replace(FIRST, training=replace(TRAINING, steps=1)),), name="teacher"))
    wider = replace(run, model=replace(MODEL, feed_forward_dim=48), stages=(SECOND,), teacher=str(teacher), name="wide")
    with pytest.raises(ConfigurationError, match="another shape"):
        pretrain(wider)


def test_a_corpus_that_is_not_there_is_named(run: PretrainingRun) -> None:
    with pytest.raises(ManifestError, match="no manifest"):
        pretrain(replace(run, data="nowhere"))

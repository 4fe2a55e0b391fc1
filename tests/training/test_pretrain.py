"""A whole run on a tiny corpus: targets, stages, interruption, and a model that loads."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import sonant.training.pretrain as recipe_module
from sonant.audio.augment import Mixing
from sonant.checkpoints import load_backbone, save_pretrained
from sonant.errors import ConfigurationError, ManifestError, UnknownName
from sonant.layers.masking import SpanMasking
from sonant.models import Wav2VecConfig, WavLMConfig, build
from sonant.pretraining import (
    Batching,
    CPCConfig,
    FileTargets,
    LayerTargets,
    MaskedPredictionConfig,
    MFCCTargets,
    RandomProjectionTargets,
    UtteranceContrastConfig,
    W2vBERTObjectiveConfig,
)
from sonant.pretraining.objectives import ObjectiveConfig
from sonant.training import Training, train
from sonant.training.pretrain import is_finished, pretrain
from sonant.training.runs import PretrainingRun, Stage
from tests.shapes import TINY
from tests.training.corpus import write_corpus

MODEL = WavLMConfig(**TINY, layerdrop=0.1)
BATCHING = Batching(batch_seconds=4.0, max_seconds=2.0, min_seconds=0.5)
TRAINING = Training(steps=6, lr=1e-3, log_every=2, save_every=2)
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
    mixing=Mixing(probability=1.0, noise_probability=0.5),
    training=TRAINING,
)
EQUAL = replace(FIRST, objective=replace(FIRST.objective, masking=SpanMasking(equal=True)))


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


def test_a_second_job_is_refused_and_leaves_the_first_alone(run: PretrainingRun, monkeypatch) -> None:
    tries = []

    def interfere(*args: object, **options: object) -> None:
        with pytest.raises(ConfigurationError, match="is being written by process"):
            pretrain(run)
        tries.append(args)
        train(*args, **options)

    monkeypatch.setattr(recipe_module, "train", interfere)
    model = pretrain(replace(run, stages=(FIRST,)))
    assert len(tries) == 2
    assert load_backbone(model)
    assert not (run.folder / "running.lock").exists()


def test_a_run_leaves_its_configuration_metrics_and_clusters(run: PretrainingRun) -> None:
    folder = pretrain(run).parent.parent
    assert json.loads((folder / "run.json").read_text())["stages"][1]["objective"]["targets"]["layer"] == 1
    assert (folder / "curves.png").stat().st_size > 10_000
    for stage in run.stages:
        reports = [json.loads(line) for line in (folder / stage.name / "metrics.jsonl").read_text().splitlines()]
        assert [report["step"] for report in reports] == [2, 4, 6]
        assert {"loss", "masked_accuracy", "unmasked_accuracy", "masked_entropy", "lr"} <= reports[0].keys()
        assert (folder / stage.name / "targets" / "kmeans.safetensors").exists()


def test_a_stage_ends_with_the_weights_of_the_lowest_held_out_loss(run: PretrainingRun) -> None:
    training = replace(FIRST.training, validate_every=1, lr=0.1)
    stage = replace(FIRST, batching=replace(FIRST.batching, batch_seconds=2.0, max_seconds=2.0), training=training)
    model = pretrain(replace(run, stages=(stage,), held_out_share=0.3))
    reports = [json.loads(line) for line in (model.parent / "metrics.jsonl").read_text().splitlines()]
    losses = {report["step"]: report["held_out_loss"] for report in reports if "held_out_loss" in report}
    assert list(losses) == [1, 2, 3, 4, 5, 6]
    best = torch.load(model.parent / "best.pt", weights_only=True)
    assert losses[best["step"]] == min(losses.values())
    kept = weights(model)
    assert all(torch.equal(kept[name], best["module"][f"backbone.{name}"]) for name in kept)


def test_held_out_recordings_need_not_fill_a_batch(run: PretrainingRun) -> None:
    stage = replace(FIRST, batching=replace(FIRST.batching, batch_seconds=4.0), extractor_steps=0)
    model = pretrain(replace(run, stages=(stage,), held_out_share=0.1))  # one recording, of 3 s at most
    reports = [json.loads(line) for line in (model.parent / "metrics.jsonl").read_text().splitlines()]
    assert any("held_out_loss" in report for report in reports)


def with_labels(run: PretrainingRun, lengths: list[int]) -> PretrainingRun:
    """A run whose second stage has labels of a file, so many for each recording."""
    path = Path(run.output).parent / "labels.km"
    path.write_text("".join(" ".join(str(i % 6) for i in range(length)) + "\n" for length in lengths))
    objective = MaskedPredictionConfig(targets=FileTargets(path=str(path)))
    return replace(run, stages=(FIRST, replace(SECOND, objective=objective)))


def test_labels_of_a_file_are_checked_before_the_first_stage(
    run: PretrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe_module, "train", None)
    with pytest.raises(ManifestError, match=r"1 of 6 recordings have more .*1\.wav \(50 labels, 2.06 s"):
        pretrain(with_labels(run, [62, 50, 149, 49, 77, 96]))
    assert not run.folder.exists()


def test_a_run_learns_labels_of_a_file_and_goes_on_when_it_has_moved(run: PretrainingRun) -> None:
    labeled = with_labels(run, [62, 102, 149, 49, 77, 96])
    model = pretrain(labeled)
    targets = json.loads((run.folder / "run.json").read_text())["stages"][1]["objective"]["targets"]
    assert targets["num_clusters"] == 6
    moved = Path(targets["path"]).rename(Path(targets["path"]).with_name("moved.km"))
    objective = MaskedPredictionConfig(targets=FileTargets(path=str(moved)))
    assert pretrain(replace(labeled, stages=(FIRST, replace(SECOND, objective=objective)))) == model


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
        ({"impulse_responses": ""}, "impulse responses"),
        ({"stages": (EQUAL,)}, "equal=true was given with batching.fill=exact"),
    ],
)
def test_a_run_that_lacks_something_says_what(run: PretrainingRun, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        pretrain(replace(run, **changes))


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (CPCConfig(), "CPC works on wav2vec and vq-wav2vec; the run's model is a Waveform"),
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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feed_forward_dim": 48}, "feed_forward_dim: there 32, here 48"),
        ({"num_heads": 4, "num_buckets": 2}, "num_heads: there 2, here 4"),  # the same tensors, another network
        ({"pre_norm": True}, "pre_norm: there False, here True"),
        ({"normalize": True}, "normalize: there False, here True"),
        ({"layer_norm_eps": 1e-3}, "layer_norm_eps"),
        ({"position_groups": 1, "position_kernel": 2}, "position_groups"),
    ],
)
def test_a_stage_starts_from_the_same_network_only(run: PretrainingRun, changes: dict, message: str) -> None:
    teacher = saved_model(run)
    other = replace(run, model=replace(MODEL, **changes), stages=(SECOND,), teacher=str(teacher), name="other")
    with pytest.raises(ConfigurationError, match=rf"another model \(.*{message}"):
        pretrain(other)
    assert not other.folder.exists()


def saved_model(run: PretrainingRun, **changes: object) -> Path:
    """A folder with a model of the run's shape, with random weights."""
    folder = Path(run.output).parent / "model"
    save_pretrained(build(replace(MODEL, **changes)), folder)
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conv_strides": (5, 2, 2, 2, 2, 2, 1)}, "stride: there 160, here 320"),
        ({"conv_kernels": (11, 3, 3, 3, 3, 2, 2)}, "receptive_field: there 401, here 400"),
        ({"sampling_rate": 8_000}, "sampling_rate: there 8000, here 16000"),
        ({"num_layers": 0}, "layer"),
    ],
)
def test_targets_come_from_a_model_with_the_same_frames_only(run: PretrainingRun, changes: dict, message: str) -> None:
    stage = replace(SECOND, start="fresh")
    other = replace(run, stages=(stage,), teacher=str(saved_model(run, **changes)), name="other")
    with pytest.raises((ConfigurationError, UnknownName), match=message):
        pretrain(other)
    assert not other.folder.exists()


@pytest.mark.parametrize("last", [1, 4])
def test_a_model_with_other_frames_than_the_labels_is_refused(run: PretrainingRun, last: int) -> None:
    model = replace(MODEL, conv_strides=(5, 2, 2, 2, 2, 2, last))
    with pytest.raises(ConfigurationError, match=f"one in {160 * last} samples"):
        pretrain(replace(run, model=model, stages=(replace(FIRST, extractor_steps=0),)))
    assert not run.folder.exists()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(params=["finished", "half done", "decoded"])
def begun(run: PretrainingRun, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> PretrainingRun:
    """A run that has been carried out, in whole or in part."""
    stop_in = {"finished": None, "half done": "layer1", "decoded": "extractor"}[request.param]

    class Interruption(Exception):
        pass

    def stop(*args: object, **options: object) -> None:
        if Path(args[3]).name == stop_in:
            raise Interruption
        train(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(recipe_module, "train", stop)
        if stop_in is None:
            pretrain(run)
        else:
            with pytest.raises(Interruption):
                pretrain(run)
    return run


@pytest.mark.parametrize("begun", ["finished", "half done"], indirect=True)
def test_a_run_that_has_begun_refuses_other_settings(begun: PretrainingRun) -> None:
    """By name, with both values, and without a change to what is there."""
    before = contents(begun.folder)
    first, second = begun.stages
    fewer = MaskedPredictionConfig(targets=LayerTargets(layer=1, num_clusters=4))
    cases = {
        r"seed: there 0, now 1": {"seed": 1},
        r"model\.layerdrop: there 0\.1, now 0\.0": {"model": replace(MODEL, layerdrop=0.0)},
        r"stages\.mfcc\.training\.steps: there 6, now 9": {
            "stages": (replace(first, training=replace(TRAINING, steps=9)), second)
        },
        r"stages\.layer1\.objective\.targets\.num_clusters: there 5, now 4": {
            "stages": (
                first,
                replace(second, objective=fewer),
            )
        },
        r"stages\.mfcc\.objective\.targets\.type: there 'MFCCTargets'": {
            "stages": (replace(first, objective=MaskedPredictionConfig(targets=RandomProjectionTargets())), second)
        },
        r"recordings: there 2, now 1": {"noise": str(write_corpus(Path(begun.output).parent / "other noise", [9_000]))},
        r"made_of\.initial_model: there None, now 'sha256": {
            "initial_model": str(saved_model(begun)),
            "stages": (replace(first, start="previous"), second),
        },
    }
    for message, changes in cases.items():
        with pytest.raises(ConfigurationError, match=message):
            pretrain(replace(begun, **changes))
        assert contents(begun.folder) == before


def test_a_run_that_has_begun_refuses_another_corpus(begun: PretrainingRun) -> None:
    before = contents(begun.folder)
    soundfile.write(Path(begun.data) / "2.wav", np.zeros(48_000), 16_000)
    with pytest.raises(ManifestError, match=r"changed since they were decoded: .*2\.wav"):
        pretrain(begun)
    other = write_corpus(Path(begun.data).parent / "other", [20_000, 33_000, 48_000, 16_000, 25_000, 31_000, 20_000])
    with pytest.raises(ConfigurationError, match="recordings: there 6, now 7"):
        pretrain(replace(begun, data=str(other)))
    assert contents(begun.folder) == before


def test_a_finished_stage_whose_model_was_exchanged_is_noticed(run: PretrainingRun) -> None:
    last = pretrain(run)
    first = run.folder / "mfcc" / "model"
    shutil.rmtree(last)
    shutil.rmtree(first)
    save_pretrained(build(replace(MODEL, num_heads=4, num_buckets=2)), first)
    with pytest.raises(ConfigurationError, match=r"stage 'mfcc' holds another model .*num_heads: there 4, here 2"):
        pretrain(run)


def test_a_finished_run_is_left_alone_and_says_so(run: PretrainingRun, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_finished(run)
    model = pretrain(run)
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    monkeypatch.setattr(recipe_module, "train", None)
    first, second = run.stages
    often = (replace(first, training=replace(TRAINING, log_every=1, save_every=5)), second)
    assert pretrain(replace(run, stages=often)) == model
    assert is_finished(run)
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")} == before


def test_a_half_done_run_goes_on_with_what_may_change(run: PretrainingRun, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pretrain(replace(run, name="whole"))

    def stop(*args: object, **options: object) -> None:
        train(*args, **options, stop_at=3)
        raise KeyboardInterrupt

    monkeypatch.setattr(recipe_module, "train", stop)
    with pytest.raises(KeyboardInterrupt):
        pretrain(run)
    monkeypatch.setattr(recipe_module, "train", train)
    first, second = run.stages
    changed = (replace(first, training=replace(TRAINING, log_every=1, save_every=5)), second)
    moved = Path(run.output).rename(Path(run.output).with_name("moved"))
    (moved / "whole").rename(Path(run.output).parent / "whole")
    expected = weights(Path(run.output).parent / "whole" / whole.relative_to(Path(run.output) / "whole"))
    resumed = weights(pretrain(replace(run, output=str(moved), stages=changed)))
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)


def test_targets_without_their_account_are_not_trusted(run: PretrainingRun) -> None:
    stage = replace(FIRST, extractor_steps=0)
    model = pretrain(replace(run, stages=(stage,)))
    shutil.rmtree(model)
    account = model.parent / "targets" / "settings.json"
    account.write_text(account.read_text().replace('"seed": 0', '"seed": 7'))
    with pytest.raises(ConfigurationError, match="seed: there 7, now 0"):
        pretrain(replace(run, stages=(stage,)))
    account.unlink()
    with pytest.raises(ConfigurationError, match=r"holds results, but settings\.json"):
        pretrain(replace(run, stages=(stage,)))


def too_short(run: PretrainingRun) -> PretrainingRun:
    long = replace(BATCHING, min_seconds=30.0, max_seconds=40.0, batch_seconds=80.0)
    return replace(run, stages=(replace(FIRST, batching=long),))


def unreadable(run: PretrainingRun) -> PretrainingRun:
    folder = Path(run.output).parent / "unreadable"
    folder.mkdir()
    (folder / "manifest.jsonl").write_text('{"path": "a.wav"}\n')
    (folder / "a.wav").write_bytes(b"not audio")
    return replace(run, data=str(folder))


def too_many_clusters(run: PretrainingRun) -> PretrainingRun:
    objective = MaskedPredictionConfig(targets=MFCCTargets(num_clusters=10_000))
    return replace(run, stages=(replace(FIRST, objective=objective, extractor_steps=0),))


@pytest.mark.parametrize("lacking", [too_short, unreadable, too_many_clusters])
def test_a_run_that_is_refused_before_its_first_step_leaves_nothing(
    run: PretrainingRun, lacking: Callable[[PretrainingRun], PretrainingRun]
) -> None:
    refused = lacking(run)
    with pytest.raises((ConfigurationError, ManifestError)):
        pretrain(refused)
    assert not Path(run.output).exists()
    Path(run.output).mkdir()
    (Path(run.output) / "mine").touch()
    with pytest.raises((ConfigurationError, ManifestError)):
        pretrain(refused)
    assert [path.name for path in Path(run.output).iterdir()] == ["mine"]


@pytest.mark.parametrize(
    "option", [{"supervised_layers": (1, 3)}, {"utterance_contrast": UtteranceContrastConfig(weight=1.0, layer=3)}]
)
def test_a_layer_that_the_model_does_not_have_is_refused_before_anything_is_read(
    run: PretrainingRun, option: dict[str, Any]
) -> None:
    stage = replace(FIRST, objective=MaskedPredictionConfig(**option))
    with pytest.raises(UnknownName, match=r"stage 'mfcc': 3.*0, 1, 2"):
        pretrain(replace(run, stages=(stage,), data="nowhere"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_refused_before_anything_is_read(run: PretrainingRun) -> None:
    with pytest.raises(ConfigurationError, match="'cuda' cannot be used here"):
        pretrain(replace(run, device="cuda", data="nowhere"))


def test_a_file_in_the_way_of_the_folder_is_named(run: PretrainingRun) -> None:
    Path(run.output).write_text("a file")
    with pytest.raises(ConfigurationError, match="part of its path is a file"):
        pretrain(run)


@pytest.mark.parametrize(
    ("names", "message"),
    [((), "no stages"), (("a", "a"), "folder of its own"), (("waveforms",), "no name"), (("../a",), "no name")],
)
def test_stages_have_folders_of_their_own(run: PretrainingRun, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        replace(run, stages=tuple(replace(FIRST, name=name) for name in names))


def test_a_corpus_that_is_not_there_is_named(run: PretrainingRun) -> None:
    with pytest.raises(ManifestError, match="no manifest"):
        pretrain(replace(run, data="nowhere"))

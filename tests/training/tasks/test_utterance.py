"""Labels of whole recordings, from the command to a model that other toolkits load."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import sonant
from sonant.checkpoints import load_backbone, load_checkpoint, save_pretrained
from sonant.cli import main
from sonant.data import read_manifest
from sonant.errors import ConfigurationError, ManifestError, SonantWarning, UnknownName
from sonant.layers.packed import Packed
from sonant.models import Backbone, BackboneConfig, Wav2Vec2Config, WavLMConfig, build
from sonant.recipes.tasks import task_run
from sonant.tasks import LayerMix
from sonant.training.tasks import TaskRun, UtteranceTask, measure_task, state_norms, train_task
from sonant.training.tasks import run as execution
from sonant.training.tasks.inspection import inspect_task
from tests.codes import discrete_bert, vq_wav2vec
from tests.shapes import SMALL, sew, w2v_bert2
from tests.training.tasks.tones import PITCHES, write_model, write_tones

SHORT = {"steps": 4, "validate_every": 2, "log_every": 2, "save_every": 2}


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tones")
    write_tones(folder / "train", 8)
    write_tones(folder / "dev", 4, seed=1)
    write_model(folder / "model", WavLMConfig(**SMALL, layerdrop=0.5))
    return folder


@pytest.fixture
def run(tones: Path, tmp_path: Path) -> TaskRun:
    return short_run(tones, tmp_path)


def short_run(tones: Path, output: Path, **changes: Any) -> TaskRun:
    settings = {
        "model": str(tones / "model"),
        "data": str(tones / "train"),
        "dev": str(tones / "dev"),
        "label": "pitch",
        "output": str(output),
        "batching": {"batch_seconds": 4, "max_seconds": 1},
        "training": SHORT,
        "trackers": [],
    }
    return task_run("utterance", [settings, changes])


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    checkpoint = load_checkpoint(folder)
    return checkpoint.backbone_state | checkpoint.heads["sequence_classification"].tensors


def same(left: Path, right: Path) -> bool:
    ours, theirs = tensors(left), tensors(right)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def reports(run: TaskRun) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]


def test_pitches_are_learned_and_named(tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = short_run(tones, tmp_path)
    given = ["training.steps=60", "training.lr=0.01", "training.validate_every=20", "batching.max_seconds=1"]
    paths = [f"{name}={getattr(run, name)}" for name in ("model", "data", "dev", "output")]
    arguments = ["train", "utterance", *paths, *given, "label=pitch", "batching.batch_seconds=4", "trackers=", "--json"]
    assert main(arguments) == 0
    folder = json.loads(capsys.readouterr().out)["model"]
    dev = read_manifest(tones / "dev")
    scores = sonant.classify([entry.path for entry in dev], model=folder)
    assert list(scores[0]) == sorted(PITCHES)
    named = [max(each, key=each.__getitem__) for each in scores]
    right = np.mean([name == entry.fields["pitch"] for name, entry in zip(named, dev, strict=True)])
    best = max(each["held_out_accuracy"] for each in reports(run) if "held_out_accuracy" in each)
    assert right == pytest.approx(best)
    assert right > 0.7
    result = json.loads((run.folder / "result.json").read_text())
    assert result["accuracy"]["value"] == pytest.approx(right)
    assert result["accuracy"]["low"] <= right <= result["accuracy"]["high"]
    assert np.trace(result["confusion"]["counts"]) == right * len(dev)
    card = (Path(folder) / "README.md").read_text()
    assert "pipeline_tag: audio-classification" in card
    assert f"accuracy {right:.4g} (" in card
    assert str(tones) not in card
    assert all(torch.equal(tensor, load_backbone(run.model).state_dict()[name])
               for name, tensor in load_backbone(folder).state_dict().items())  # fmt: skip


@pytest.mark.parametrize("frozen", ["backbone", "extractor"])
def test_an_interrupted_run_ends_with_the_same_bits(
    frozen: str, tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {
        "frozen": frozen,
        "augmentation": {"speeds": [0.9, 1.0, 1.1], "time_fraction": 0.5, "channel_fraction": 0.5, "channel_length": 8},
    }
    whole = train_task(short_run(tones, tmp_path / "whole", **changes))
    run = short_run(tones, tmp_path / "interrupted", **changes)
    train = execution.train

    class Interruption(Exception):
        pass

    def stop(*arguments: Any, **options: Any) -> None:
        train(*arguments, **options, stop_at=3)
        raise Interruption

    monkeypatch.setattr(execution, "train", stop)
    with pytest.raises(Interruption):
        train_task(run)
    assert reports(run)[-1]["step"] < SHORT["steps"]
    saved = torch.load(run.folder / "state.pt", weights_only=True)["module"]
    assert any(name.startswith("backbone.") for name in saved) is (frozen != "backbone")
    monkeypatch.undo()
    torch.manual_seed(99)
    assert same(train_task(run), whole)


def test_a_part_is_trained_unless_it_is_frozen(run: TaskRun, tmp_path: Path) -> None:
    before = load_backbone(run.model).state_dict()

    def changed(frozen: str) -> set[str]:
        folder = train_task(replace(run, frozen=frozen, output=str(tmp_path / frozen)))  # type: ignore[arg-type]
        now = load_backbone(folder).state_dict()
        return {name.partition(".")[0] for name, tensor in now.items() if not torch.equal(tensor, before[name])}

    assert changed("backbone") == set()
    assert changed("extractor") == {"projection", "encoder"}
    assert changed("nothing") == {"extractor", "projection", "encoder"}


@pytest.mark.parametrize(
    ("config", "layer"),
    [
        (WavLMConfig(**SMALL), "weighted"),
        (WavLMConfig(**SMALL), 2),
        (Wav2Vec2Config(**SMALL, pre_norm=True, extractor_norm="layer", conv_bias=True), "weighted"),
        (Wav2Vec2Config(**SMALL, pre_norm=True, extractor_norm="layer", conv_bias=True), "last"),
    ],
)
def test_transformers_computes_the_same_logits(
    config: BackboneConfig, layer: int | str, tones: Path, tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    model = write_model(tmp_path / "model", config)
    folder = train_task(short_run(tones, tmp_path, model=str(model), layer=layer, frozen="extractor"))
    theirs = transformers.AutoModelForAudioClassification.from_pretrained(folder).eval()
    clip = np.random.default_rng(0).normal(0, 0.1, 8_000).astype(np.float32)
    with torch.no_grad():
        logits = theirs(torch.from_numpy(clip)[None]).logits[0].double()
    encoder = sonant.load(folder)
    ours, temperature = encoder.classify(clip), encoder.labels.temperature  # type: ignore[union-attr]
    assert [theirs.config.id2label[number] for number in range(4)] == list(ours)
    assert temperature == json.loads((folder.parent / "result.json").read_text())["temperature"] != 1
    calibrated = (logits / temperature).softmax(0)
    torch.testing.assert_close(torch.tensor(list(ours.values())).double(), calibrated, atol=1e-5, rtol=0)
    encoder.save_pretrained(tmp_path / "again")
    assert sonant.load(tmp_path / "again").classify(clip) == pytest.approx(ours, abs=1e-6)
    assert load_checkpoint(folder).config.num_layers == (layer if isinstance(layer, int) else config.num_layers)


def test_attentive_pooling_is_learned_saved_and_streamed(tones: Path, tmp_path: Path) -> None:
    run = short_run(tones, tmp_path, task={"pooling": "attention"}, frozen="backbone")
    folder = train_task(run)
    encoder = sonant.load(folder)
    head = encoder.heads["sequence_classification"]
    fresh = UtteranceTask(pooling="attention").head(encoder.dim, sorted(PITCHES), LayerMix())
    assert head.tensors().keys() - fresh.tensors().keys() == {"layer_weights"}  # type: ignore[operator]
    wave = np.random.default_rng(0).normal(0, 0.1, 48_000).astype(np.float32)
    for window_seconds in (None, 1.0):
        states = encoder.encode(wave, layer=list(range(encoder.num_layers)), to="torch", window_seconds=window_seconds)
        last = encoder.encode(wave, to="torch", window_seconds=window_seconds)
        every = torch.cat([states, last[None]]).transpose(0, 1)  # (frames, states, dim)
        logits = head(Packed.pack([every]))[0].double() / encoder.labels.temperature  # type: ignore[union-attr]
        found = encoder.classify(wave, window_seconds=window_seconds)
        assert list(found.values()) == pytest.approx(logits.softmax(0).tolist(), abs=1e-5)
    assert json.loads((folder / "config.json").read_text())["architectures"] == ["WavLMModel"]
    encoder.save_pretrained(tmp_path / "again")
    assert sonant.load(tmp_path / "again").classify(wave) == pytest.approx(encoder.classify(wave), abs=1e-6)


@pytest.mark.parametrize(
    ("make", "layer"),
    [
        (vq_wav2vec, "weighted"),
        (discrete_bert, 2),
        (lambda: build(w2v_bert2()), "weighted"),
        (lambda: build(sew()), "last"),
    ],
)
def test_models_of_any_family_are_trained_and_served(
    make: Callable[[], Backbone], layer: int | str, tones: Path, tmp_path: Path
) -> None:
    save_pretrained(make(), tmp_path / "model")
    run = short_run(tones, tmp_path, model=str(tmp_path / "model"), dev="", layer=layer)
    encoder = sonant.load(train_task(run))
    assert list(encoder.classify(tones / "dev" / "low0.wav")) == sorted(PITCHES)
    assert encoder.labels is not None
    assert encoder.labels.temperature == 1  # there is no dev


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (vq_wav2vec, "VQWav2Vec cannot be masked"),
        (lambda: build(w2v_bert2(adapter_layers=1)), "convolutional adapter"),
        (lambda: build(sew()), "squeezed frames"),
    ],
)
def test_models_that_cannot_be_trained_so_are_refused(
    make: Callable[[], Backbone], match: str, tones: Path, tmp_path: Path
) -> None:
    save_pretrained(make(), tmp_path / "model")
    with pytest.raises(ConfigurationError, match=match):
        train_task(short_run(tones, tmp_path, model=str(tmp_path / "model"), augmentation={"time_fraction": 0.5}))


def test_a_run_goes_on_with_its_own_settings_only(run: TaskRun, tones: Path, tmp_path: Path) -> None:
    folder = train_task(run)
    assert train_task(replace(run, data=str(tones / "train" / "manifest.jsonl"))) == folder
    with pytest.raises(ConfigurationError, match=r"training.lr: there 0.001, now 0.1"):
        train_task(replace(run, training=replace(run.training, lr=0.1)))
    other = write_tones(tmp_path / "other", 4, seed=2)
    with pytest.raises(ConfigurationError, match="other recordings or labels in dev"):
        train_task(replace(run, dev=str(other)))
    for start in (train_task, inspect_task):
        with pytest.raises(ConfigurationError, match=r"began with no cache of states \(cache=\). Give the same again"):
            start(replace(run, cache=str(tmp_path / "states")))


def rewritten(manifest: Path, folder: Path, change: Any) -> Path:
    """Write a manifest whose rows, with absolute paths, are changed; None leaves a row out."""
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    new = [change(row | {"path": str(manifest.parent / row["path"])}) for row in rows]
    path = folder / "changed.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in new if row is not None))
    return path


@pytest.fixture
def manifest(tones: Path) -> Iterator[Path]:
    return tones / "train" / "manifest.jsonl"


def test_labels_that_cannot_be_learned_are_refused(run: TaskRun, manifest: Path, tmp_path: Path) -> None:
    without = rewritten(manifest, tmp_path, lambda row: row | ({"pitch": None} if row["pitch"] == "low" else {}))
    with pytest.raises(ManifestError, match=r"8 of 32 rows of train have no 'pitch'.*low0.wav has .*'speaker'"):
        train_task(replace(run, data=str(without)))
    alike = rewritten(manifest, tmp_path, lambda row: row | {"pitch": "low"})
    with pytest.raises(ManifestError, match="All 32 recordings have the label 'low'"):
        train_task(replace(run, data=str(alike)))
    fewer = rewritten(manifest, tmp_path, lambda row: None if row["pitch"] == "top" else row)
    with pytest.raises(ManifestError, match=r"4 of 16 rows of dev have 'pitch' outside of the vocabulary, 'top' in 4"):
        train_task(replace(run, data=str(fewer)))
    assert not run.folder.exists()


def test_recordings_that_cannot_be_used_are_named(run: TaskRun, manifest: Path, tmp_path: Path) -> None:
    missing = rewritten(manifest, tmp_path, lambda row: row | {"path": row["path"].replace("low0", "gone")})
    told = r"1 of 32 rows of train have no audio that can be read.*gone0?\.wav"
    with pytest.raises(ManifestError, match=told):
        train_task(replace(run, data=str(missing)))
    with pytest.warns(SonantWarning, match=told):
        assert train_task(replace(run, data=str(missing), on_error="skip")).is_dir()
    soundfile.write(tmp_path / "nan.wav", np.full(8000, np.nan, np.float32), 16_000, "FLOAT")
    broken = rewritten(manifest, tmp_path, lambda row: row | ({"path": "nan.wav"} if "low0" in row["path"] else {}))
    told = r"1 of the 32 recordings of train cannot be (decoded|used).*nan\.wav"
    with pytest.raises(ManifestError, match=told):
        train_task(replace(run, name="nan", data=str(broken)))
    with pytest.warns(SonantWarning, match=told):
        assert train_task(replace(run, name="nan", data=str(broken), on_error="skip")).is_dir()
    short = replace(run, name="short", batching=replace(run.batching, max_seconds=0.3))
    with pytest.warns(SonantWarning, match=r"are left out: .*s long, and batching.max_seconds=0.3"):
        train_task(short)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"model": ""}, "model=microsoft"),
        ({"data": ""}, "data=train.jsonl"),
        ({"layer": 5}, "layer=5 was given; expected last, weighted, or the number"),
        ({"layer": "first"}, "layer='first' does not fit"),
        ({"batching": {"max_seconds": 9}}, "cannot hold a recording of batching.max_seconds=9"),
        ({"augmentation": {"speeds": [3.0]}}, "factors from 0.5 to 2"),
        ({"augmentation": {"time_fraction": 2}}, "time_fraction=2"),
        ({"task": {"pooling": "attention"}, "lora": {"rank": 2, "save": "apart"}}, "Merge the adapters"),
    ],
)
def test_wrong_settings_say_what_is_expected(change: dict[str, Any], match: str, tones: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=match):
        train_task(short_run(tones, tmp_path / "out", **change))
    assert not (tmp_path / "out").exists()


def test_unknown_tasks_are_refused() -> None:
    with pytest.raises(UnknownName, match="utterance"):
        sonant.train("utterances", model="sonant/wavlm-tiny")


def test_another_set_is_measured_as_the_development_set_is(run: TaskRun, tones: Path) -> None:
    with pytest.raises(ConfigurationError, match="no finished run"):
        measure_task(run, run.dev)
    train_task(run)
    on_dev = json.loads((run.folder / "result.json").read_text())
    assert measure_task(run, run.dev) == on_dev
    with pytest.warns(SonantWarning, match="rows of test are recordings of train too"):
        assert measure_task(run, run.data)["recordings"] > on_dev["recordings"]
    assert measure_task(replace(run, batching=replace(run.batching, max_seconds=0.1)), run.dev) == on_dev
    norms = state_norms(run, run.dev)
    frames = sonant.load(run.model).encode([str(entry.path) for entry in read_manifest(run.dev)], layer="all")
    expected = np.linalg.norm(np.concatenate(frames, axis=1), axis=-1).mean(1)  # (layers + 1,)
    assert norms[:-1] == pytest.approx(expected[:-1].tolist(), rel=1e-4)


def test_a_single_state_of_the_weighted_ones_is_read_alone(run: TaskRun, tmp_path: Path) -> None:
    last = replace(run, name="last", layer="last")
    single = replace(run, name="single", single_state=SMALL["num_layers"], cache=str(tmp_path / "states"))
    heads = [load_checkpoint(train_task(each)).heads["sequence_classification"].tensors for each in (last, single)]
    assert torch.equal(heads[1].pop("layer_weights").softmax(0), torch.eye(SMALL["num_layers"] + 1)[-1])
    assert heads[0].keys() == heads[1].keys()
    assert all(torch.allclose(heads[0][name], heads[1][name], atol=1e-5) for name in heads[0])
    train_task(replace(run, name="first", single_state=0))
    with pytest.raises(ConfigurationError, match="states 0 to"):
        train_task(replace(run, name="none", single_state=SMALL["num_layers"] + 1))
    with pytest.raises(ConfigurationError, match="layer=weighted"):
        train_task(replace(last, name="none", single_state=0))


def test_several_labels_of_a_recording_are_learned_together(tones: Path, tmp_path: Path) -> None:
    for part in ("train", "dev"):
        rows = [json.loads(line) for line in (tones / part / "manifest.jsonl").read_text().splitlines()]
        for row in rows:
            row["path"] = str(tones / part / row["path"])
            row["side"] = "lower" if row["pitch"] in ("low", "middle") else "upper"
        (tmp_path / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sets = {part: str(tmp_path / f"{part}.jsonl") for part in ("train", "dev")}
    training = SHORT | {"steps": 16, "validate_every": 16, "save_every": 16, "lr": 0.02}
    changes = {"data": sets["train"], "dev": sets["dev"], "label": ["side", "pitch"], "training": training}
    run = short_run(tones, tmp_path, **changes)
    folder = train_task(run)
    encoder = sonant.load(folder)
    assert encoder.labels is not None
    assert encoder.labels.groups == {"side": 2, "pitch": 4}
    right = {"side": [], "pitch": []}
    for entry in read_manifest(sets["dev"]):
        scores = encoder.classify(entry.path)
        assert sum(score for name, score in scores.items() if name.startswith("side: ")) == pytest.approx(1)
        for name, label in encoder.labels.chosen(scores).items():
            right[name].append(label == entry.fields[name])
    result = json.loads((run.folder / "result.json").read_text())
    assert result["accuracy"]["value"] == np.mean(np.all([right["side"], right["pitch"]], axis=0))
    assert result["accuracy_side"]["value"] == np.mean(right["side"]) > 0.7
    with pytest.raises(ManifestError, match=r"have a value of 'side' and 'nothing' that is no label.*no 'nothing'"):
        train_task(replace(run, name="other", label=("side", "nothing")))
    with pytest.raises(ConfigurationError, match=r"label=\[text,slots\] was given; the label of a CTCTask"):
        train_task(task_run("ctc", [{**changes, "model": run.model, "label": ["text", "slots"], "name": "ctc"}]))

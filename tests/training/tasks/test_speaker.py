"""Speaker embeddings: what is measured in training is what the saved model gives, here and in transformers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import sonant
from sonant.checkpoints import load_backbone
from sonant.cli import main
from sonant.data import read_manifest
from sonant.errors import ConfigurationError, ManifestError
from sonant.evaluation import speaker_eer
from sonant.layers.packed import Packed
from sonant.models import WavLMConfig
from sonant.recipes.tasks import task_run
from sonant.tasks import SpeakerOutputs
from sonant.training.tasks import SpeakerTask, TaskRun, speaker, train_task
from tests.shapes import TINY
from tests.training.tasks.tones import write_model
from tests.training.tasks.voices import write_voices

SMALL_HEAD = {"channels": 16, "pooled_dim": 24, "embedding_dim": 12, "calibrated": False}


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("voices")
    write_voices(folder / "train", 3, 4)
    write_voices(folder / "dev", 3, 3, seed=1)
    write_model(folder / "model", WavLMConfig(**TINY))
    return folder


def short_run(voices: Path, output: Path, name: str = "speaker_xvector", **changes: Any) -> TaskRun:
    settings = {
        "model": str(voices / "model"),
        "data": str(voices / "train"),
        "dev": str(voices / "dev"),
        "output": str(output),
        "batching": {"batch_seconds": 4, "max_seconds": 1},
        "augmentation": {"crop_seconds": 0.4},
        "training": {"steps": 2, "validate_every": 1, "lr": 0.01},
        "task": SMALL_HEAD,
        "trackers": [],
    }
    return task_run(name, [settings, changes])


@pytest.fixture(scope="module")
def trained(voices: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, TaskRun]:
    output = tmp_path_factory.mktemp("runs")
    runs = {
        "speaker_xvector": short_run(voices, output, cache=str(output / "states")),
        "speaker": short_run(voices, output, "speaker"),
    }
    for run in runs.values():
        train_task(run)
    return runs


@pytest.mark.parametrize("name", ["speaker_xvector", "speaker"])
def test_the_rate_of_the_best_weights_is_that_of_the_saved_model(name: str, trained: dict[str, TaskRun]) -> None:
    run = trained[name]
    dev = read_manifest(run.dev)
    encoder = sonant.load(run.folder / "model")
    vectors = encoder.speaker_vectors([entry.path for entry in dev])
    expected = speaker_eer(np.stack(vectors), [entry.fields["speaker"] for entry in dev])
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert min(each["held_out_eer"] for each in lines if "held_out_eer" in each) == pytest.approx(expected, abs=1e-5)
    result = json.loads((run.folder / "result.json").read_text())
    assert result["eer"]["value"] == pytest.approx(expected, abs=1e-6)
    assert "accuracy" not in result  # of speakers of the training set
    card = (run.folder / "model" / "README.md").read_text()
    assert "trained for speaker verification" in card
    assert "0-1" not in card  # names of speakers


@pytest.mark.parametrize(
    ("name", "save"), [("speaker_xvector", "merged"), ("speaker_xvector", "apart"), ("speaker", "merged")]
)
def test_adapters_are_trained_with_a_head_of_speakers(name: str, save: str, voices: Path, tmp_path: Path) -> None:
    run = short_run(voices, tmp_path, name, lora={"rank": 2, "save": save})
    train_task(run)
    dev, encoder = read_manifest(run.dev), sonant.load(run.folder / "model")
    vectors = np.stack(encoder.speaker_vectors([entry.path for entry in dev]))
    measured = json.loads((run.folder / "result.json").read_text())["eer"]["value"]
    assert measured == pytest.approx(speaker_eer(vectors, [entry.fields["speaker"] for entry in dev]), abs=1e-6)
    before = load_backbone(voices / "model").state_dict()
    changed = [key for key, tensor in encoder.model.state_dict().items() if not torch.equal(tensor, before[key])]
    assert changed
    assert all(".attention." in key for key in changed)


@pytest.mark.parametrize("name", ["speaker_xvector", "speaker"])
def test_a_recording_has_one_embedding_alone_and_among_longer_ones(name: str, trained: dict[str, TaskRun]) -> None:
    run = trained[name]
    encoder = sonant.load(run.folder / "model")
    draw = np.random.default_rng(0)
    clips = [draw.normal(0, 0.1, size).astype(np.float32) for size in (9_000, 32_000, 20_000)]
    for clip, together in zip(clips, encoder.speaker_vectors(clips), strict=True):
        np.testing.assert_allclose(encoder.speaker_vectors(clip), together, atol=2e-5)
    for clip, sample in zip(clips, encoder.voice_samples(clips), strict=True):
        np.testing.assert_allclose(encoder.voice_samples(clip).vector, sample.vector, atol=2e-5)
        whole = encoder.speaker_vectors(clip)  # all of it is loud, but the last frame
        assert whole @ sample.vector > 0.99 * np.linalg.norm(whole) * np.linalg.norm(sample.vector)
    if name == "speaker":  # pauses stay in
        quiet = np.concatenate([clips[1], 1e-4 * clips[1], clips[2]])
        np.testing.assert_allclose(encoder.voice_samples(quiet).vector, encoder.speaker_vectors(quiet), atol=2e-5)
    assert encoder.diarize(np.concatenate(clips), num_speakers=2)


@pytest.mark.parametrize("name", ["speaker_xvector", "speaker"])
def test_people_are_enrolled_and_found_by_the_trained_embedding(
    name: str, trained: dict[str, TaskRun], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_voices(tmp_path / "people", 2, 2, seconds=3.0, seed=5)
    one, again, other, unknown = sorted(map(str, (tmp_path / "people").glob("*.wav")))
    given = ["--voices", str(tmp_path / "people.voices")]
    model = str(trained[name].folder / "model")
    assert main(["voices", "enroll", "Ada", one, *given, "-m", model]) == 0
    assert main(["voices", "enroll", "Ben", other, *given]) == 0
    capsys.readouterr()
    assert main(["voices", "identify", one, again, unknown, *given, "--threshold", "-1", "--json"]) == 0
    encoder = sonant.load(model)
    for line, path in zip(capsys.readouterr().out.splitlines(), (one, again, unknown), strict=True):
        scores = {match["name"]: match["score"] for match in json.loads(line)["matches"]}
        for person, enrolled in (("Ada", one), ("Ben", other)):
            assert scores[person] == pytest.approx(encoder.verify(path, enrolled).score, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "save"), [("speaker", "merged"), pytest.param("speaker_xvector", "apart", marks=pytest.mark.slow)]
)
def test_the_threshold_is_set_on_speakers_of_dev_who_are_not_in_training(
    name: str, save: str, voices: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write_voices(tmp_path / "dev", 10, 1, seed=3).read_text().splitlines()
    for row in list(rows):  # nearly the same recording once more: the least trained model tells these apart
        wave, rate = soundfile.read(tmp_path / "dev" / json.loads(row)["path"])
        again = json.loads(row)["path"].replace("-0.wav", "-1.wav")
        soundfile.write(tmp_path / "dev" / again, wave[800:], rate)
        rows.append(json.dumps(json.loads(row) | {"path": again}))
    known = write_voices(tmp_path / "dev" / "known", 3, 2, seed=9).read_text()
    heard = known.replace('"path": "9-', '"path": "known/9-').replace('"speaker": "9-', '"speaker": "0-')
    (tmp_path / "dev.jsonl").write_text(
        "".join(f"{line}\n" for line in [*rows, *heard.splitlines()]).replace('"path": "', '"path": "dev/')
    )
    run = short_run(
        voices,
        tmp_path,
        name,
        dev=str(tmp_path / "dev.jsonl"),
        task={"calibrated": True},
        lora={"rank": 2, "save": save},
    )
    with pytest.warns(sonant.errors.SonantWarning, match="6 of 26 rows of dev are of 3 speakers of train"):
        train_task(run)
    encoder = sonant.load(run.folder / "model")
    found = encoder.voice_calibration
    assert found is not None
    assert "20 recordings of 10 speakers (dev, which chose the weights of the model)" in found.basis
    new = [entry for entry in read_manifest(run.dev) if not str(entry.fields["speaker"]).startswith("0-")]
    expected = encoder.calibrate_voices(new, [str(entry.fields["speaker"]) for entry in new])
    assert found.threshold == pytest.approx(expected.threshold, abs=1e-4)
    assert (found.slope, found.offset) == pytest.approx((expected.slope, expected.offset), rel=1e-3)
    one, other = (str(new[row].path) for row in (0, -1))
    assert main(["verify", one, other, "-m", str(run.folder / "model"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["same"] is (answer["score"] >= answer["threshold"])
    assert 0 < answer["probability"] < 1


def test_a_model_without_a_threshold_says_how_to_get_one(
    voices: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = short_run(voices, tmp_path, task={"calibrated": True})
    with pytest.warns(
        sonant.errors.SonantWarning, match="dev has 3 speakers with two recordings.*a threshold takes 10"
    ):
        train_task(run)
    one, other = sorted(map(str, (voices / "dev").glob("*.wav")))[:2]
    assert main(["verify", one, other, "-m", str(run.folder / "model")]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("no verdict (cosine ")
    assert "sonant voices calibrate" in captured.err
    assert main(["verify", one, other, "-m", str(run.folder / "model"), "--threshold", "-1"]) == 0
    assert capsys.readouterr().out.startswith("the same voice (cosine ")


def test_transformers_computes_the_same_logits(trained: dict[str, TaskRun]) -> None:
    transformers = pytest.importorskip("transformers")
    folder = trained["speaker_xvector"].folder / "model"
    theirs = transformers.AutoModelForAudioXVector.from_pretrained(folder).eval()
    assert type(theirs).__name__ == "WavLMForXVector"
    clip = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0)) / 10
    with torch.no_grad():
        outputs = theirs(clip)
        encoder = sonant.load(folder)
    vector = encoder.speaker_vectors(clip[0].numpy())
    np.testing.assert_allclose(vector, outputs.embeddings[0], atol=1e-5)
    stored = encoder._heads.stored["xvector"].tensors
    logits = torch.from_numpy(vector) @ stored["classifier.weight"].T + stored["classifier.bias"]
    torch.testing.assert_close(logits, outputs.logits[0], atol=1e-5, rtol=1e-4)
    assert theirs.config.num_labels == 3


def test_crops_that_do_not_fit_a_task_are_refused(voices: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"crop_seconds=0.1 was given, which leaves 4 frames.*takes 16"):
        train_task(short_run(voices, voices / "crops", augmentation={"crop_seconds": 0.1}))
    with pytest.raises(ConfigurationError, match="a part of a recording does not have the label of the whole in CTC"):
        train_task(task_run("ctc", ["model=m", "data=d", "augmentation.crop_seconds=3"]))


def test_speakers_of_the_training_set_are_named_too(voices: Path, tmp_path: Path) -> None:
    run = short_run(voices, tmp_path, dev=str(voices / "train"))
    with pytest.warns(sonant.errors.SonantWarning, match="recordings of train too"):
        train_task(run)
    result = json.loads((run.folder / "result.json").read_text())
    assert result["accuracy"]["low"] <= result["accuracy"]["value"] <= result["accuracy"]["high"]


def test_a_set_without_a_pair_is_refused(voices: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (voices / "dev/manifest.jsonl").read_text().splitlines()]
    single = [row | {"path": str(voices / "dev" / row["path"])} for row in rows if row["path"].endswith("0.wav")]
    (tmp_path / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in single))
    with pytest.raises(ManifestError, match="3 recordings of dev are of 3 speakers; expected"):
        train_task(short_run(voices, tmp_path, dev=str(tmp_path / "dev.jsonl")))


@pytest.mark.parametrize("counts", [[2] * 50, [1] * 60 + [2, 1], [60, 40, 2], [7] * 8, [2] * 3])
def test_large_sets_are_compared_in_pairs_of_one_speaker_too(
    counts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speaker, "MOST_COMPARED", 40)
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    directions = np.random.default_rng(1).normal(size=(len(counts), 40))
    rows = torch.from_numpy(np.concatenate([labels[:, None], directions[labels]], axis=1))
    assert SpeakerTask().of_vectors(rows) == {"eer": 0.0}  # all vectors of a speaker are equal


def test_the_loss_counts_speakers_of_the_training_set_alone() -> None:
    draw = torch.Generator().manual_seed(0)
    outputs = SpeakerOutputs(torch.randn(3, 4, generator=draw), torch.rand(3, 2, generator=draw))
    targets = Packed.pack([torch.tensor([label]) for label in (1, 5, 0)])
    task = SpeakerTask()
    found = task.loss(outputs, targets, ("a", "b"), training=False)
    known = SpeakerOutputs(outputs.vectors[[0, 2]], outputs.scores[[0, 2]])
    alone = task.loss(known, Packed.pack([torch.tensor([1]), torch.tensor([0])]), ("a", "b"), training=True)
    assert float(found.sum) == pytest.approx(float(alone.sum))
    assert int(found.count) == 2
    assert found.vectors is not None
    assert alone.vectors is None
    torch.testing.assert_close(found.vectors[:, 0], torch.tensor([1.0, 5.0, 0.0]))
    with pytest.raises(ConfigurationError, match="multiple of 8"):
        SpeakerTask(architecture="ecapa_tdnn", channels=12)
    with pytest.raises(ConfigurationError, match="positive scale"):
        SpeakerTask(margin=2.0)

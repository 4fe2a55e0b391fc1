"""Recognition of characters: the loss, error rates, and a model that transcribes as transformers does."""

import json
from dataclasses import replace
from itertools import groupby, product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import soundfile
import torch

import sonant
from sonant.checkpoints import load_checkpoint
from sonant.data import read_manifest
from sonant.errors import ConfigurationError, ManifestError, SonantWarning
from sonant.evaluation.edits import edit_distance
from sonant.layers.packed import Packed
from sonant.models import Wav2Vec2Config, WavLMConfig
from sonant.recipes.tasks import task_run
from sonant.training.tasks import CTCTask, TaskRun, train_task
from sonant.training.tasks.lora import LoRA
from tests.shapes import SMALL
from tests.training.tasks.tones import write_model

CLASSES = ("<pad>", "<unk>", "|", "a", "b")
LETTERS = dict(zip("abcd", (300.0, 700.0, 1500.0, 3000.0), strict=True))


def write_words(folder: Path, number: int, *, seed: int = 0) -> Path:
    """Write recordings of two words of tones, and their manifest."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    time = np.arange(1_920) / 16_000
    rows = []
    for each in range(number):
        words = ["".join(rng.choice(list(LETTERS), rng.integers(1, 4))) for _ in range(2)]
        sounds = [np.zeros(1_600)]
        for letter in " ".join(words):
            sounds += [np.zeros(2_560 if letter == " " else 480)]
            sounds += [0.3 * np.sin(2 * np.pi * LETTERS[letter] * time)] if letter in LETTERS else []
        wave = np.concatenate([*sounds, np.zeros(1_600)])
        soundfile.write(folder / f"{each}.wav", wave + rng.normal(0, 0.01, len(wave)), 16_000)
        rows.append(json.dumps({"path": f"{each}.wav", "text": f" {'  '.join(words)}\n"}))
    manifest = folder / "manifest.jsonl"
    manifest.write_text("\n".join(rows) + "\n")
    return manifest


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    write_words(folder / "train", 20)
    write_words(folder / "dev", 5, seed=1)
    write_model(folder / "model", WavLMConfig(**SMALL))
    return folder


def short_run(words: Path, output: Path, *, recipe: str = "ctc", **changes: Any) -> TaskRun:
    settings = {
        "model": str(words / "model"),
        "data": str(words / "train"),
        "dev": str(words / "dev"),
        "output": str(output),
        "batching": {"batch_seconds": 8, "max_seconds": 4},
        "training": {"steps": 2, "validate_every": 2},
        "trackers": [],
    }
    return task_run(recipe, [settings, changes])


def test_the_loss_is_the_sum_over_all_paths() -> None:
    draw = torch.Generator().manual_seed(0)
    logits = Packed.pack([torch.randn(frames, 4, generator=draw) for frames in (5, 3)])
    targets = [[3, 3], [2]]
    expected = 0.0
    for clip, wanted in zip(logits, targets, strict=True):
        chances = clip.double().softmax(-1)
        paths = product(range(4), repeat=len(clip))
        matching = [path for path in paths if [token for token, _ in groupby(path) if token] == wanted]
        expected -= float(torch.stack([chances[range(len(clip)), path].prod() for path in matching]).sum().log())
    loss = CTCTask().loss(logits, Packed.pack(map(torch.tensor, targets)), CLASSES[:4], training=True)
    assert float(loss.sum) == pytest.approx(expected, rel=1e-5)
    assert int(loss.count) == 3
    assert loss.metrics == {}


def test_the_loss_and_errors_of_a_batch_are_the_sums_of_its_recordings() -> None:
    draw = torch.Generator().manual_seed(0)
    clips = [torch.randn(frames, 5, generator=draw) for frames in (9, 4, 6)]
    units = [torch.tensor(each) for each in ([3, 3, 2, 4], [4], [3, 2, 3])]
    task = CTCTask()
    whole = task.loss(Packed.pack(clips), Packed.pack(units), CLASSES, training=False)
    alone = [
        task.loss(Packed.pack([clip]), Packed.pack([unit]), CLASSES, training=False)
        for clip, unit in zip(clips, units, strict=True)
    ]
    assert float(whole.sum) == pytest.approx(sum(float(each.sum) for each in alone), rel=1e-6)
    assert int(whole.count) == sum(int(each.count) for each in alone)
    for name, (errors, total) in whole.metrics.items():
        assert float(errors) == sum(float(each.metrics[name][0]) for each in alone)
        assert float(total) == sum(float(each.metrics[name][1]) for each in alone)
    padded = torch.nn.utils.rnn.pad_sequence(clips).log_softmax(-1)
    theirs = torch.nn.functional.ctc_loss(
        padded, torch.cat(units), torch.tensor([9, 4, 6]), torch.tensor([4, 1, 3]), reduction="sum"
    )
    assert float(whole.sum) == pytest.approx(float(theirs), rel=1e-6)


def test_error_rates_are_those_of_greedy_transcripts() -> None:
    tokens, said = [3, 3, 0, 2, 4, 0, 4], "a bb"  # each frame's token, and what they are
    logits = 9.0 * torch.nn.functional.one_hot(torch.tensor(tokens), 5).float()
    task = CTCTask()
    for reference, words, characters in ((said, 0, 0), ("a b", 1, 1), ("ab bb a", 2, 3)):
        targets = Packed.pack([torch.tensor([CLASSES.index(unit) for unit in task.units(reference)])])
        metrics = task.loss(Packed.pack([logits]), targets, CLASSES, training=False).metrics
        assert tuple(map(float, metrics["wer"])) == (words, len(reference.split()))
        assert tuple(map(float, metrics["cer"])) == (characters, len(reference))


def test_the_vocabulary_is_that_of_the_transcripts() -> None:
    task = CTCTask()
    classes = task.classes([task.normalized(" Zoë's\tan "), "n"])
    assert classes == ("<pad>", "<unk>", "|", *sorted("Zoë'san"))
    assert task.units("a n") == ["a", "|", "n"]
    with pytest.raises(ManifestError, match=r"contains '\|'"):
        task.classes(["a|b"])
    assert task.min_frames("aab a") == 6


def test_phones_are_read_from_a_mix_of_the_states_of_a_frozen_model(words: Path, tmp_path: Path) -> None:
    pairs = [
        f"{word} {' '.join(word)}\n" for length in (1, 2, 3) for word in map("".join, product("abcd", repeat=length))
    ]
    (tmp_path / "lexicon.txt").write_text("".join(pairs))
    run = short_run(words, tmp_path, task={"lexicon": str(tmp_path / "lexicon.txt")}, label="text", recipe="phones")
    folder = train_task(replace(run, training=replace(run.training, steps=8, validate_every=8)))
    head = load_checkpoint(folder).heads["ctc"]
    assert not torch.equal(head.tensors["layer_weights"], torch.zeros(SMALL["num_layers"] + 1))
    dev = read_manifest(words / "dev")
    found = sonant.transcribe([entry.path for entry in dev], model=folder)
    spelled = [" ".join(str(entry.fields["text"]).replace(" ", "").strip()).split() for entry in dev]
    errors = sum(edit_distance(text, each.text.split()) for text, each in zip(spelled, found, strict=True))
    rates = json.loads((run.folder / "result.json").read_text())
    assert rates["per"]["value"] == pytest.approx(errors / sum(map(len, spelled)))
    again = sonant.load(folder)
    again.save_pretrained(tmp_path / "again")
    assert sonant.transcribe(dev[0].path, model=tmp_path / "again").text == found[0].text
    with pytest.raises(ConfigurationError, match=r"reads \d states.*layer=weighted"):
        train_task(short_run(words, tmp_path / "more", model=str(folder), task={"vocabulary": "checkpoint"}))
    with pytest.raises(ConfigurationError, match="neither transformers nor peft"):
        train_task(replace(run, lora=LoRA(rank=2, save="apart")))


def test_transcripts_longer_than_their_frames_stop_a_run_or_are_left_out(words: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (words / "train/manifest.jsonl").read_text().splitlines()]
    rows = [row | {"path": str(words / "train" / row["path"])} for row in rows]
    rows[3]["text"] = "ab" * 200
    (tmp_path / "long.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = short_run(words, tmp_path, data=str(tmp_path / "long.jsonl"))
    told = r"1 of 20 rows of train are too short for their 'text'.*3\.wav: 400 frames needed"
    with pytest.raises(ManifestError, match=told):
        train_task(run)
    assert not run.folder.exists()
    with pytest.warns(SonantWarning, match=told):
        assert train_task(replace(run, on_error="skip")).is_dir()


def test_characters_of_dev_that_no_transcript_of_train_has_are_listed(words: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (words / "dev/manifest.jsonl").read_text().splitlines()]
    rows = [row | {"path": str(words / "dev" / row["path"]), "text": row["text"] + "ß"} for row in rows]
    (tmp_path / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ManifestError, match=f"rows of dev have 'text' outside of the vocabulary, 'ß' in {len(rows)}"):
        train_task(short_run(words, tmp_path, dev=str(tmp_path / "dev.jsonl")))


@pytest.mark.parametrize("config", [WavLMConfig(**SMALL), Wav2Vec2Config(**SMALL, normalize=True)])
def test_transformers_computes_the_same_logits_and_text(config: Any, words: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = write_model(tmp_path / "model", config)
    folder = train_task(short_run(words, tmp_path, model=str(model), layer=3))
    theirs = transformers.AutoModelForCTC.from_pretrained(folder).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    clip = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    with torch.no_grad():
        logits = theirs(**extractor(clip, sampling_rate=16_000, return_tensors="pt")).logits[0]
    encoder = sonant.load(folder)
    states = torch.from_numpy(encoder.encode(clip))
    ours = encoder.heads["ctc"](Packed.pack([states[:, None]])).values
    torch.testing.assert_close(ours, logits, atol=1e-5, rtol=1e-4)
    assert len(tokenizer) == logits.shape[1]
    assert encoder.transcribe(clip).text == tokenizer.decode(logits.argmax(-1))


@pytest.mark.slow
@pytest.mark.parametrize(("vocabulary", "steps"), [("characters", 200), ("bytes", 400)])
def test_twenty_recordings_are_learned_without_an_error(
    vocabulary: Literal["characters", "bytes"], steps: int, words: Path, tmp_path: Path
) -> None:
    without_dropout = dict.fromkeys(("dropout", "attention_dropout", "input_dropout", "layerdrop"), 0.0)
    model = write_model(tmp_path / "model", WavLMConfig(**SMALL, **without_dropout))
    training = {"steps": steps, "lr": 5e-3, "validate_every": steps, "parts": []}
    run = short_run(words, tmp_path, model=str(model), frozen="nothing", training=training)
    run = replace(run, task=CTCTask(vocabulary=vocabulary))
    folder = train_task(run)
    entries = read_manifest(words / "train")
    transcripts = sonant.transcribe([entry.path for entry in entries], model=folder)
    wanted = [entry.fields["text"].split() for entry in entries]
    assert sum(edit_distance(each, found.text.split()) for each, found in zip(wanted, transcripts, strict=True)) == 0


def test_labels_that_a_speed_leaves_no_frames_for_are_counted(words: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (words / "train" / "manifest.jsonl").read_text().splitlines()]
    rows[3]["text"] = "abcd" * 8
    manifest = tmp_path / "train.jsonl"
    manifest.write_text("".join(json.dumps(row | {"path": str(words / "train" / row["path"])}) + "\n" for row in rows))
    run = short_run(words, tmp_path, data=str(manifest), dev="", augmentation={"speeds": [1.0, 2.0]})
    with pytest.warns(SonantWarning, match=r"1 of the 20 recordings .* at a speed of 2: 3.wav"):
        train_task(replace(run, training=replace(run.training, steps=1)))

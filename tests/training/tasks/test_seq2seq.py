"""Recognition by a decoder: the loss, its metrics, and a model that writes what it has learned."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import sonant
from sonant.checkpoints.fresh import fresh_or_loaded
from sonant.evaluation import bleu
from sonant.layers.packed import Packed
from sonant.models import W2vBERT2Config, WavLMConfig
from sonant.models.fresh import FRESH
from sonant.models.token_decoder import TokenDecoderConfig
from sonant.recipes.tasks import task_run
from sonant.tasks import LayerMix
from sonant.training import loop
from sonant.training.tasks import Prediction, Seq2SeqTask, TaskRun, TranslationTask, train_task
from sonant.training.tasks.settings import check
from tests.shapes import BLOCKS, SMALL
from tests.training.tasks.test_ctc import write_words
from tests.training.tasks.tones import write_model

DECODER = {"dim": 16, "num_layers": 1, "num_heads": 2, "feed_forward_dim": 32, "dropout": 0.0}
CLASSES = ("<s>", "<pad>", "</s>", "<unk>", "|", "a", "b")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    write_words(folder / "train", 6)
    write_words(folder / "dev", 2, seed=1)
    write_model(folder / "model", WavLMConfig(**SMALL))
    return folder


def short_run(words: Path, output: Path, **changes: Any) -> TaskRun:
    settings = {
        "model": str(words / "model"),
        "data": str(words / "train"),
        "dev": str(words / "dev"),
        "label": "text",
        "output": str(output),
        "task": {"decoder": DECODER, "search": {"beam": 2}},
        "batching": {"batch_seconds": 8, "max_seconds": 4},
        "training": {"steps": 2, "validate_every": 2, "save_every": 1},
        "trackers": [],
    }
    return task_run("seq2seq", [settings, changes])


def encoded(task: Seq2SeqTask, lengths: list[int]) -> tuple[Any, Packed]:
    torch.manual_seed(0)
    head = task.head(8, CLASSES, LayerMix()).eval()
    states = Packed.pack([torch.randn(length, 1, 8) for length in lengths])
    return head, states


def test_the_loss_of_a_batch_is_the_sum_over_its_recordings() -> None:
    task = Seq2SeqTask(decoder=TokenDecoderConfig(**DECODER))
    head, states = encoded(task, [9, 4, 6])
    units = [torch.tensor(each) for each in ([5, 5, 4, 6], [6], [5, 4, 5])]
    whole = task.loss(head(states), Packed.pack(units), CLASSES, training=False)
    alone = [
        task.loss(head(Packed.pack([clip])), Packed.pack([unit]), CLASSES, training=False)
        for clip, unit in zip(states, units, strict=True)
    ]
    assert float(whole.sum) == pytest.approx(sum(float(each.sum) for each in alone), rel=1e-5)
    assert int(whole.count) == 4 + 1 + 3 + 3
    assert {"wer", "cer", "text_loss", "text_accuracy", "ctc_loss"} == whole.metrics.keys()
    for name, (total, count) in whole.metrics.items():
        assert float(total) == pytest.approx(sum(float(each.metrics[name][0]) for each in alone), rel=1e-5)
        assert float(count) == sum(float(each.metrics[name][1]) for each in alone)


def test_the_loss_by_its_formula() -> None:
    task = Seq2SeqTask(decoder=TokenDecoderConfig(**DECODER), ctc_weight=0.0, smoothing=0.2)
    head, states = encoded(task, [9])
    outputs, target = head(states), torch.tensor([5, 4])
    assert outputs.ctc_logits is None
    rows = outputs.decoder.predict(Packed.pack([target]), outputs.memory).log_softmax(-1)
    expected = 0.0
    for row, one in zip(rows, [5, 4, 2], strict=True):
        expected -= float(0.8 * row[one] + 0.2 * row.mean())
    loss = task.loss(outputs, Packed.pack([target]), CLASSES, training=True)
    assert float(loss.sum) == pytest.approx(expected, rel=1e-5)


def test_translations_are_measured_by_chrf() -> None:
    task = TranslationTask(decoder=TokenDecoderConfig(**DECODER))
    head, states = encoded(task, [9, 4])
    loss = task.loss(head(states), Packed.pack([torch.tensor([5]), torch.tensor([6])]), CLASSES, training=False)
    assert {"chrf", "text_loss", "text_accuracy"} == loss.metrics.keys()
    assert task.criterion.cost({"held_out_chrf": 40.0}) < task.criterion.cost({"held_out_chrf": 30.0})
    assert task.notes(CLASSES)["translates"]
    found = [Prediction(torch.tensor(text), torch.tensor([5, 4]), None) for text in ([5, 4], [5])]
    measures = task.result(iter(found), CLASSES).measures
    texts = [task.text_of(each.output, task.text_vocabulary(CLASSES)) for each in found]
    assert measures["bleu"]["value"] == bleu(texts, [texts[0]] * 2)
    assert measures["recordings"] == 2


def test_a_run_goes_on_where_it_stopped(words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train_task(short_run(words, tmp_path / "whole"))
    save = loop.save_state
    monkeypatch.setattr(loop, "save_state", _interrupting(save))
    with pytest.raises(KeyboardInterrupt):
        train_task(short_run(words, tmp_path / "parts"))
    monkeypatch.setattr(loop, "save_state", save)
    parts = train_task(short_run(words, tmp_path / "parts"))
    for name in ("model.safetensors", "sonant_heads.safetensors"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes()
    assert json.loads((parts.parent / "result.json").read_text()).keys() == {"recordings", "wer", "cer"}


def _interrupting(save: Any) -> Any:
    def saved(*arguments: Any) -> None:
        save(*arguments)
        raise KeyboardInterrupt

    return saved


def test_a_model_on_log_mel_energies_starts_from_random_weights(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FRESH, "log_mel_small", W2vBERT2Config(**BLOCKS))
    first, same, other = (fresh_or_loaded("log_mel_small", seed=seed).backbone_state for seed in (1, 1, 2))
    name = "projection.linear.weight"
    assert torch.equal(first[name], same[name])
    assert not torch.equal(first[name], other[name])
    settings = task_run("seq2seq_log_mel", [{"data": str(words / "train"), "output": str(tmp_path)}])
    assert settings.model == "log_mel_small"
    check(settings)


@pytest.mark.slow
def test_recordings_are_learned_by_heart_and_written_without_an_error(words: Path, tmp_path: Path) -> None:
    write_words(tmp_path / "ten", 10)
    run = short_run(
        words,
        tmp_path,
        data=str(tmp_path / "ten"),
        dev="",
        frozen="extractor",
        task={"decoder": {**DECODER, "dim": 64, "num_heads": 4, "feed_forward_dim": 128}, "smoothing": 0.0},
        training={"steps": 300, "lr": 3e-3, "validate_every": 300, "save_every": 300},
    )
    encoder = sonant.load(train_task(run))
    assert encoder.abilities == ("embeddings", "transcription")
    paths = sorted((tmp_path / "ten").glob("*.wav"))
    rows = [json.loads(line) for line in (tmp_path / "ten" / "manifest.jsonl").read_text().splitlines()]
    texts = {row["path"]: " ".join(row["text"].split()) for row in rows}
    together = encoder.transcribe(list(map(str, paths)))
    assert [each.text for each in together] == [texts[path.name] for path in paths]
    assert encoder.transcribe(str(paths[3])) == together[3]

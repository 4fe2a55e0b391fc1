"""Training of language models: a grammar is learned, and resumed equals uninterrupted."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sonant.checkpoints.transformer_lm import load_transformer_lm
from sonant.errors import ConfigurationError, ManifestError
from sonant.models.transformer_lm import TransformerLMConfig
from sonant.training import Training
from sonant.training.text import LanguageModelRun, train_language_model
from sonant.training.text import run as runs

ENTROPY = torch.tensor(2.0 * 3 * 2 * 2 * 3).log() / 6  # of a sentence, by its words and its end


def sentence(draw: random.Random) -> str:
    article, animal = ("the", "a"), ("cat", "dog", "bird")
    return " ".join(draw.choice(words) for words in (article, animal, ("sees", "hears"), article, animal))


def grammar(folder: Path, **changes: object) -> LanguageModelRun:
    draw = random.Random(0)
    for name, count in (("train", 300), ("dev", 60)):
        (folder / f"{name}.txt").write_text("".join(f"{sentence(draw)}\n" for _ in range(count)))
    settings = {
        "name": "grammar",
        "model": TransformerLMConfig(
            dim=32, num_layers=1, num_heads=2, feed_forward_dim=64, max_positions=8, dropout=0.1, attention_dropout=0.0
        ),
        "data": str(folder / "train.txt"),
        "dev": str(folder / "dev.txt"),
        "units": "words",
        "normalization": "upper",
        "batch_tokens": 256,
        "training": Training(steps=50, lr=2e-2, validate_every=25, save_every=20),
        "output": str(folder),
        "trackers": (),
    }
    return LanguageModelRun(**(settings | changes))  # type: ignore[arg-type]


def test_a_grammar_is_learned_to_its_entropy(tmp_path: Path) -> None:
    run = grammar(tmp_path)
    folder = train_language_model(run)
    result = json.loads((folder.parent / "result.json").read_text())
    assert float(ENTROPY) - 0.05 < result["held_out_loss"] < float(ENTROPY) + 0.05
    assert result["held_out_perplexity_per_token"] == pytest.approx(torch.tensor(result["held_out_loss"]).exp())
    loaded = load_transformer_lm(folder)
    assert loaded.normalization == "upper"
    assert loaded.tokenizer.encode("THE DOG the") == [*loaded.tokenizer.encode("THE DOG"), 3]
    reports = [json.loads(line) for line in (folder.parent / "metrics.jsonl").read_text().splitlines()]
    assert {"tokens_per_second", "million_tokens", "perplexity_per_token"} <= reports[-2].keys() | reports[-1].keys()
    assert "audio_hours" not in reports[-1]
    with pytest.raises(ConfigurationError, match="batch_tokens: there 256, now 128"):
        train_language_model(replace(run, batch_tokens=128))


def test_resumed_equals_uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train_language_model(grammar(tmp_path, name="whole", dev="", training=Training(steps=8)))
    run = grammar(tmp_path, name="parts", dev="", training=Training(steps=8))
    full = runs.train

    class Stopped(Exception):
        pass

    def stop(*given: object, **more: object) -> None:
        full(*given, **more, stop_at=5)  # type: ignore[arg-type]
        raise Stopped

    monkeypatch.setattr(runs, "train", stop)
    with pytest.raises(Stopped):
        train_language_model(run)
    monkeypatch.undo()
    assert (whole / "model.safetensors").read_bytes() == (train_language_model(run) / "model.safetensors").read_bytes()


def test_a_trained_model_can_be_trained_further(tmp_path: Path) -> None:
    first = train_language_model(grammar(tmp_path, name="first", training=Training(steps=1)))
    second = grammar(tmp_path, name="second", initial_model=str(first), training=Training(steps=1))
    assert load_transformer_lm(train_language_model(second)).tokenizer.encode("CAT") == load_transformer_lm(
        first
    ).tokenizer.encode("CAT")
    with pytest.raises(ConfigurationError, match="normalization"):
        train_language_model(replace(second, name="third", normalization="lower"))


def test_texts_that_cannot_be_read_leave_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no file of texts"):
        train_language_model(grammar(tmp_path, data=str(tmp_path / "missing.txt")))
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(ManifestError, match="has no text"):
        train_language_model(grammar(tmp_path, data=str(tmp_path / "empty.txt")))
    assert not (tmp_path / "grammar").exists()

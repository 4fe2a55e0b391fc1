"""Tests of `sonant lm`."""

import json
import math
from pathlib import Path

import pytest

from sonant.cli import main
from sonant.decoding.ngrams.files import load_ngram_model

PROBING = Path(__file__).parents[1] / "decoding/ngrams/kenlm/probing.binary"


def test_a_model_is_trained_converted_and_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, arpa, fast = tmp_path / "text.txt", tmp_path / "words.arpa.gz", tmp_path / "words.safetensors"
    text.write_text("A cat sat.\nA dog sat.\n\nThe cat ran.\n")
    train = ["lm", "train", str(text), "-o", str(arpa), "--order", "2", "--normalize", "lower"]
    assert main(train) == 1
    assert "--discount-fallback" in capsys.readouterr().err
    assert main([*train, "--discount-fallback"]) == 0
    assert main(["lm", "convert", str(arpa), str(fast)]) == 0
    capsys.readouterr()
    text.write_text("the dog ran\nthe zebra ran")
    answers = []
    for model in (arpa, fast):
        assert main(["lm", "score", str(model), str(text), "--json"]) == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert answers[0] == answers[1]
    found = answers[0]
    assert (found["num_sentences"], found["num_words"], found["num_unknown"]) == (2, 6, 1)
    assert found["perplexity"] == pytest.approx(math.exp(-found["log_probability"] / 8))
    lm = load_ngram_model(arpa)
    state, total = lm.start(1), 0.0
    for word in ("the", "dog", "ran"):
        scores, state = lm.score(state, state.new_tensor([lm.numbers[word]]))
        total += scores.item()
    assert found["sentences"][0]["log_probability"] == pytest.approx(total + lm.finish(state).item())
    assert found["sentences"][1]["num_unknown"] == 1


def test_characters_of_a_manifest(tmp_path: Path) -> None:
    manifest, letters = tmp_path / "train.jsonl", tmp_path / "letters.arpa"
    manifest.write_text('{"path": "a.wav", "text": "ab ba"}\n{"path": "b.wav", "text": "b"}\n')
    options = ["--units", "characters", "--discount-fallback"]
    assert main(["lm", "train", str(manifest), *options, "-o", str(letters)]) == 0
    assert load_ngram_model(letters).words == ["<unk>", "<s>", "</s>", "a", "b", "|"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["lm"], 2, "Name a command"),
        (["lm", "train", "text.txt", "-o", "model.bin"], 2, "in .arpa"),
        (["lm", "train", "-o", "model.arpa"], 2, "No text"),
        (["lm", "train", "none.txt", "-o", "model.arpa"], 1, "no text at none.txt"),
        (["lm", "train", "latin.txt", "-o", "model.arpa"], 1, "latin.txt, line 1, is not in UTF-8"),
        (["lm", "score", "none.arpa", "latin.txt"], 2, "no language model 'none.arpa'"),
        (["lm", "convert", "none.arpa", "none.bin"], 2, "ends in .safetensors"),
        (["lm", "convert", str(PROBING), "lm.safetensors"], 2, "hashes in place of n-grams. Use it as it is"),
    ],
)
def test_wrong_use_is_told(
    arguments: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("latin.txt").write_bytes("Öl\n".encode("latin-1"))
    assert main(arguments) == code
    assert message in capsys.readouterr().err

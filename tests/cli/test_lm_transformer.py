"""`sonant lm` with Transformers: measured like n-grams, and written with the form of their texts."""

import json
from pathlib import Path

import pytest

from sonant.checkpoints.transformer_lm import load_transformer_lm
from sonant.cli import main
from tests.models.language_models import write_gpt2


def test_the_form_of_texts_must_be_said_before_a_published_model_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_gpt2(tmp_path / "published")
    texts, published, own = tmp_path / "texts.txt", str(tmp_path / "published"), str(tmp_path / "own")
    texts.write_text("LET ZEBRAS OUT\n\nTHE CAT SAT\n")
    assert main(["lm", "score", published, str(texts)]) == 2
    assert "--normalize lower" in capsys.readouterr().err
    assert main(["lm", "convert", published, own]) == 2
    capsys.readouterr()
    assert main(["lm", "convert", published, own, "--normalize", "lower"]) == 0
    capsys.readouterr()
    assert load_transformer_lm(own).normalization == "lower"
    assert main(["lm", "score", own, str(texts), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["text"] for each in found["sentences"]] == ["let zebras out", "the cat sat"]
    assert found["num_words"] == 6
    assert 1 < found["perplexity_per_token"] < found["perplexity"]
    assert main(["lm", "score", own, str(texts)]) == 0
    assert f"perplexity by tokens             {found['perplexity_per_token']:.2f}" in capsys.readouterr().out
    assert main(["lm", "score", own, str(texts), "--units", "characters"]) == 2

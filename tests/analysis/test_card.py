"""Measurements in the folder of a model: without recordings, in README.md, and harmless where they are damaged."""

import json
from pathlib import Path

import pytest

from sonant.analysis.card import BEGIN, END, FILE_NAME, best_row, card_of, read_card, write_card
from sonant.errors import ModelWarning
from tests.analysis.report.made_up import analysis

EVIL = "<script>alert(1)</script> | `x` \n\n# y --> ``` ![](http://x)"


def test_a_card_is_one_model_without_recordings(tmp_path: Path) -> None:
    made = analysis(5, 9)
    write_card(tmp_path, made, 1)
    card = read_card(tmp_path)
    assert card is not None
    assert card == card_of(made, 1)
    assert card.models[0].curves == made.models[1].curves
    text = (tmp_path / FILE_NAME).read_text()
    assert ".wav" not in text
    assert "data/" not in text
    assert len(text) < 50_000


def test_a_readme_keeps_what_else_it_says(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("# Mine\n\nBefore.\n", encoding="utf-8")
    write_card(tmp_path, analysis(5))
    assert readme.read_text("utf-8").startswith(f"# Mine\n\nBefore.\n\n{BEGIN}\n\n## What the layers know\n")
    readme.write_text(readme.read_text("utf-8") + "\nAfter.\n", encoding="utf-8")
    once = readme.read_text("utf-8")
    write_card(tmp_path, analysis(5))
    assert readme.read_text("utf-8") == once
    for row in (best_row(model, curve) for model in analysis(5).models for curve in model.curves):
        assert (
            "| " + " | ".join(cell.replace("_", r"\_").replace("[", r"\[").replace("]", r"\]") for cell in row) in once
        )
    assert "$ sonant analyze sonant/wavlm-tiny" in once
    assert once.index(END) < once.index("After.")


def test_names_are_no_markup(tmp_path: Path) -> None:
    write_card(tmp_path, analysis(4, text=EVIL))
    text = (tmp_path / "README.md").read_text("utf-8")
    own = text.replace(BEGIN, "").replace(END, "")
    outside = own[: own.index("```console")]
    assert "<" not in outside
    assert "`" not in outside.replace("\\`", "")
    assert own.count("```") == 2
    assert all(line.count(" | ") <= 5 for line in own.splitlines() if line.startswith("| "))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "models": []}', "\udc80", "[" * 100_000, "null"]
)
def test_a_damaged_card_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.warns(ModelWarning, match="is not used"):
        assert read_card(tmp_path) is None
    assert read_card(tmp_path / "nothing") is None


def test_a_card_of_two_models_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps(analysis(3, 4, clips=8).to_json()), encoding="utf-8")
    with pytest.warns(ModelWarning, match="of 2 models"):
        assert read_card(tmp_path) is None

"""`sonant self-train`: what it says before it trains."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sonant.cli import main
from sonant.recipes import SELF_TRAINING


@pytest.fixture
def settings(tmp_path: Path) -> list[str]:
    for name in ("a", "b", "c"):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(8_000), 16_000)
    (tmp_path / "train.jsonl").write_text('{"path": "a.wav", "text": "one"}\n')
    return ["model=wavlm-base-plus", f"data={tmp_path / 'train.jsonl'}", f"unlabeled={tmp_path}"]


def test_a_plan_counts_recordings_and_writes_nothing(
    settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "unlabeled.csv").write_text("path\na.wav\nb.wav\nc.wav\n")
    chosen = [*settings[:2], f"unlabeled={tmp_path / 'unlabeled.csv'}", f"output={tmp_path / 'runs'}", "--dry-run"]
    assert main(["self-train", "self_training", *chosen]) == 0
    lines = capsys.readouterr().out.splitlines()
    for stage in ("teacher", "ngram", "labeling", "selection", "ctc", "seq2seq"):
        assert any(line.split()[:1] == [stage] for line in lines), stage
    assert any(line.split() == ["unlabeled", "2"] for line in lines)
    assert any(line.split() == ["left", "out,", "in", "data", "1"] for line in lines)
    assert any(line.endswith("choose texts: all that are not empty") for line in lines)
    assert main(["self-train", "self_training", *chosen, "stages=labeling", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["planned"]) == ["labeling"]
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["lm", "lm_text", "transformer_lm"])
def test_files_of_later_stages_are_read_before_the_first_one(
    name: str, settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong").write_text("\n")
    given = [*settings, f"{name}={tmp_path / 'wrong'}", f"output={tmp_path / 'runs'}"]
    assert main(["self-train", "self_training", *given]) in (1, 2)
    assert "wrong" in capsys.readouterr().err.splitlines()[0]
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("recipe", SELF_TRAINING)
def test_every_recipe_has_a_plan_before_its_data_are_named(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["self-train", recipe, "--dry-run"]) == 0
    assert "labeling" in capsys.readouterr().out

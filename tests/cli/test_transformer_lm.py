"""`sonant train transformer_lm`."""

import json
from pathlib import Path

import pytest

from sonant.cli import main
from tests.models.language_models import TEXTS


def test_a_language_model_is_planned_and_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    sizes = ["model.dim=16", "model.num_layers=1", "model.num_heads=2", "model.feed_forward_dim=16"]
    run = ["train", "transformer_lm", f"data={tmp_path / 'texts.txt'}", f"output={tmp_path / 'runs'}", "units=words"]
    run += [*sizes, "training.steps=1", "trackers="]
    assert main([*run, "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["texts"] == {"data": {"texts": 4, "words": 17}}
    assert plan["parameters"] > 0
    assert not (tmp_path / "runs").exists()
    assert main([*run, "--dry-run"]) == 0
    assert "4 texts, 17 words" in capsys.readouterr().out
    assert main([*run, "--json"]) == 0
    assert (Path(json.loads(capsys.readouterr().out)["model"]) / "vocab.txt").exists()
    assert main(["train", "transformer_lm"]) == 2
    assert "data=TEXT" in capsys.readouterr().err

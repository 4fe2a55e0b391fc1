"""Measurements of the layers stay with the weights that they are of."""

from pathlib import Path

import torch

import sonant
from sonant.analysis.card import BEGIN


def test_a_model_is_saved_with_what_was_measured(tmp_path: Path) -> None:
    encoder = sonant.load("sonant/wavlm-tiny", device="cpu")
    assert encoder.analysis is not None
    assert encoder.analysis.models[0].revision == encoder.revision
    encoder.save_pretrained(tmp_path / "saved")
    assert BEGIN in (tmp_path / "saved/README.md").read_text("utf-8")
    again = sonant.load(tmp_path / "saved", device="cpu")
    assert again.analysis == encoder.analysis


def test_other_weights_have_no_measurements(tmp_path: Path) -> None:
    encoder = sonant.load("sonant/wavlm-tiny", device="cpu")
    with torch.no_grad():
        next(encoder.model.parameters()).mul_(2)
    assert encoder.analysis is None
    encoder.save_pretrained(tmp_path)
    assert not (tmp_path / "analysis.json").exists()
    assert not (tmp_path / "README.md").exists()

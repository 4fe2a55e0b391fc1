"""Speakers of predictions, by which intervals are drawn."""

from pathlib import Path

import torch

from sonant.data import ManifestEntry, read_manifest
from sonant.models import WavLMConfig, build
from sonant.training.tasks import Prediction, UtteranceTask
from sonant.training.tasks.recordings import LabeledRecordings
from sonant.training.tasks.results import speakers_of
from tests.shapes import TINY
from tests.training.tasks.tones import write_tones


def test_intervals_are_drawn_by_speakers_if_all_are_known_and_several() -> None:
    def found(*speakers: str | None) -> list[str] | None:
        return speakers_of([Prediction(torch.zeros(2), [0], speaker) for speaker in speakers])

    assert found("ada", "ben", "ada") == ["ada", "ben", "ada"]
    assert found("ada", None, "ben") is None
    assert found("ada", "ada") is None


def test_speakers_are_of_the_run_though_another_one_shares_its_recordings(tmp_path: Path) -> None:
    entries = read_manifest(write_tones(tmp_path / "tones", 1))
    backbone = build(WavLMConfig(**TINY))

    def read(speakers: list[str]) -> LabeledRecordings:
        rows = [
            ManifestEntry(entry.path, None, {"speaker": name}) for entry, name in zip(entries, speakers, strict=True)
        ]
        labels = ["a", "b", "a", "b"]
        folder, task = tmp_path / "decoded", UtteranceTask()
        return LabeledRecordings.read(rows, labels, folder, task, name="dev", backbone=backbone, max_seconds=9)

    first, second = read(["ada", "ben", "ada", ""]), read(["x", "y", "z", "x"])
    assert first.speakers == ["ada", "ben", "ada", None]
    assert second.speakers == ["x", "y", "z", "x"]

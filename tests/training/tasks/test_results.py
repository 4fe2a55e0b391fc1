"""Speakers of predictions, by which intervals are drawn."""

from collections.abc import Iterator
from pathlib import Path
from weakref import ref

import torch

from sonant.data import ManifestEntry, read_manifest
from sonant.models import WavLMConfig, build
from sonant.training.tasks import CTCTask, Prediction, UtteranceTask
from sonant.training.tasks.recordings import LabeledRecordings
from sonant.training.tasks.results import groups_of
from tests.shapes import TINY
from tests.training.tasks.tones import write_tones


def test_intervals_are_drawn_by_speakers_if_all_are_known_and_several() -> None:
    def found(*speakers: str | None) -> list[str] | None:
        return groups_of(speakers)

    assert found("ada", "ben", "ada") == ["ada", "ben", "ada"]
    assert found("ada", None, "ben") is None
    assert found("ada", "ada") is None


def test_logits_of_a_set_are_not_held_together() -> None:
    task, outputs = CTCTask(), []

    def predictions() -> Iterator[Prediction]:
        for _ in range(4):
            prediction = Prediction(torch.zeros(3, 4), torch.tensor([3]), None)
            outputs.append(ref(prediction.output))
            yield prediction
            del prediction
            assert sum(each() is not None for each in outputs) <= 1

    assert task.result(predictions(), task.classes(["a"])).measures["recordings"] == 4


def test_speakers_are_of_the_run_though_another_one_shares_its_recordings(tmp_path: Path) -> None:
    entries = read_manifest(write_tones(tmp_path / "tones", 1))
    backbone = build(WavLMConfig(**TINY))

    def read(speakers: list[str]) -> LabeledRecordings:
        rows = [
            ManifestEntry(entry.path, None, {"speaker": name}) for entry, name in zip(entries, speakers, strict=True)
        ]
        labels = ["a", "b", "a", "b"]
        folder, task = tmp_path / "decoded", UtteranceTask()
        return LabeledRecordings.read(
            rows, labels, folder, task, name="dev", backbone=backbone, max_seconds=9, on_error="raise"
        )

    first, second = read(["ada", "ben", "ada", ""]), read(["x", "y", "z", "x"])
    assert first.speakers == ["ada", "ben", "ada", None]
    assert second.speakers == ["x", "y", "z", "x"]

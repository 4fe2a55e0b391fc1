"""A task of one's own is one class: here several tags for a recording, each independent of the others."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import sonant
from sonant.layers.packed import Packed
from sonant.loss import Loss
from sonant.models import WavLMConfig
from sonant.tasks import LayerMix, SequenceClassificationHead
from sonant.training import Criterion, Training
from sonant.training.tasks import LabeledBatching, Task, TaskRun, train_task
from tests.shapes import TINY
from tests.training.tasks.tones import write_model, write_tones


@dataclass(frozen=True, kw_only=True)
class TagTask(Task):
    kind: ClassVar[str] = "sequence_classification"
    criterion: ClassVar[Criterion] = Criterion("loss")

    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:
        return tuple(sorted({tag for label in labels for tag in label.split("+")}))

    def units(self, label: str) -> list[str]:
        return label.split("+")

    def head(self, dim: int, classes: Sequence[str], mix: LayerMix) -> SequenceClassificationHead:
        return SequenceClassificationHead(nn.Linear(dim, 8), nn.Linear(8, len(classes)), mix)

    def loss(self, outputs: Tensor, targets: Packed, classes: Sequence[str], *, training: bool) -> Loss:
        wanted = torch.zeros_like(outputs)
        wanted[targets.clip_of_step, targets.values] = 1.0
        total = F.binary_cross_entropy_with_logits(outputs, wanted, reduction="sum")
        return Loss(total, outputs.numel())

    def notes(self, classes: Sequence[str]) -> Mapping[str, Any]:
        return {"labels": list(classes), "problem_type": "multi_label_classification"}


def test_a_task_of_ones_own_is_trained_and_served(tmp_path: Path) -> None:
    manifest = write_tones(tmp_path / "tones", 2)
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    manifest.write_text("".join(json.dumps(row | {"tags": f"tone+{row['pitch']}"}) + "\n" for row in rows))
    run = TaskRun(
        name="tags",
        task=TagTask(),
        label="tags",
        model=str(write_model(tmp_path / "model", WavLMConfig(**TINY))),
        data=str(manifest),
        output=str(tmp_path / "runs"),
        batching=LabeledBatching(batch_seconds=4.0, max_seconds=1.0),
        training=Training(steps=30, lr=3e-2),
        trackers=(),
    )
    scores = sonant.classify(tmp_path / "tones" / "low0.wav", model=train_task(run))
    assert list(scores) == ["high", "low", "middle", "tone", "top"]
    assert scores["tone"] > 0.9
    assert max(scores["high"], scores["middle"], scores["top"]) < 0.6

"""Classification of frames: voice activity, phones with times, sounds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from sonant.errors import ManifestError
from sonant.evaluation.label_scores import score_counts
from sonant.layers.packed import Packed
from sonant.loss import Loss, count_several
from sonant.training.tasks.results import Prediction, TaskResult, groups_of
from sonant.training.tasks.segments import SegmentTask, spans_of
from sonant.training.tasks.targets import LabeledSegments
from sonant.training.validation import Criterion


@dataclass(frozen=True, kw_only=True)
class FrameTask(SegmentTask):
    """Classes of each frame, which are the labels of the segments that its center lies in.

    The classes are the different labels of the training set, sorted. Metrics are the F1 score of each class, over
    frames, and their mean.

    Attributes:
        several: a frame may be of several classes (binary cross-entropy, a threshold of 0.5), or is of one
            (cross-entropy), and segments of different labels must not overlap.
        background: of one class: the class of frames in no segment.
    """

    criterion: ClassVar[Criterion] = Criterion("macro_f1", higher_is_better=True)

    several: bool = True
    background: str = "background"

    def normalized(self, value: Any) -> str:
        label = super().normalized(value)
        for before, after in () if self.several else pairwise(spans_of(label)):
            if after.start < before.end and after.label != before.label:
                raise ManifestError(
                    f"{before.label!r} and {after.label!r} overlap from {after.start:g} s on, and task.several=false "
                    "was given"
                )
        return label

    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:
        found = {unit for label in labels for unit in self.units(label)}
        if not found:
            raise ManifestError("No recording has a labeled segment. Is it the right field? Name another: label=FIELD.")
        return tuple(sorted(found)) if self.several else (self.background, *sorted(found - {self.background}))

    def target(self, label: str, numbers: Mapping[str, int]) -> LabeledSegments:
        return LabeledSegments([(start, end, numbers[name]) for start, end, name in spans_of(label)], len(numbers))

    def loss(self, outputs: Packed, targets: Packed, classes: Sequence[str], *, training: bool) -> Loss:  # noqa: ARG002
        logits, active = outputs.values.float(), targets.values
        if self.several:
            total = F.binary_cross_entropy_with_logits(logits, active.float(), reduction="sum")
        else:
            total = F.cross_entropy(logits, active.int().argmax(-1), reduction="sum")
        counts = self._counts(logits.detach(), active)
        return Loss(total, active.numel() if self.several else len(active), {"macro_f1": counts})

    def _counts(self, logits: Tensor, active: Tensor) -> Tensor:
        """Count frames by class, float32 (3, classes): correct, predicted, actual."""
        if self.several:
            found, true = logits > 0, active
        else:
            found, true = (F.one_hot(each.argmax(-1), logits.shape[1]).bool() for each in (logits, active.int()))
        return count_several(found, true)

    def result(self, predictions: Iterable[Prediction], classes: Sequence[str]) -> TaskResult:
        speakers, counts = [], []
        for each in predictions:  # the outputs of all recordings together may not fit the memory
            speakers.append(each.speaker)
            counts.append(self._counts(each.output, each.target).flatten().numpy())
        return TaskResult(score_counts(np.stack(counts).astype(np.float64), classes, groups_of(speakers)))

    def notes(self, classes: Sequence[str]) -> Mapping[str, Any]:
        return {"labels": list(classes), "frames": "classes" if self.several else "one_class"}

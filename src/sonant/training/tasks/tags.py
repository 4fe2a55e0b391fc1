"""Several labels of whole recordings at once."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sonant.data import plain_label
from sonant.errors import ManifestError
from sonant.evaluation.label_scores import average_precision, score_counts
from sonant.layers.packed import Packed
from sonant.loss import Loss, count_several
from sonant.training.tasks.results import Prediction, TaskResult, groups_of
from sonant.training.tasks.task import Task
from sonant.training.tasks.utterance import UtteranceTask


@dataclass(frozen=True, kw_only=True)
class TagTask(UtteranceTask):
    """Labels of a recording that do not exclude each other, by the head of `UtteranceTask`; binary cross-entropy.

    A label is a list in the manifest; one text is a list of one, and an empty list says that none applies. The metric
    is macro F1 at probabilities of 0.5, at the end with the mean of the average precisions (mAP).

    Attributes:
        separator: between the labels of one text, such as ";"; "": the text is one label.
    """

    separator: str = ""

    def with_columns(self, columns: tuple[str, ...]) -> Task:
        return Task.with_columns(self, columns)

    def normalized(self, value: Any) -> str:
        if isinstance(value, str) and self.separator and value.strip():
            value = value.split(self.separator)
        if not isinstance(value, list | tuple):
            label = plain_label(value)
            return json.dumps([label]) if label else ""
        found = {plain_label(each) for each in value}
        if "" in found:
            raise ManifestError(f"{value!r:.80} is no list of labels: one of them is empty, or no text")
        return json.dumps(sorted(found))

    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:
        found = {unit for label in labels for unit in self.units(label)}
        if not found:
            raise ManifestError("No recording has a label. Is it the right field? Name another one: label=FIELD.")
        return tuple(sorted(found))

    def units(self, label: str) -> list[str]:
        return list(json.loads(label))

    def target(self, label: str, numbers: Mapping[str, int]) -> Tensor:
        found = torch.zeros(1, len(numbers), dtype=torch.bool)
        found[0, [numbers[unit] for unit in self.units(label)]] = True
        return found

    def loss(self, outputs: Tensor, targets: Packed, classes: Sequence[str], *, training: bool) -> Loss:  # noqa: ARG002
        logits, wanted = outputs.float(), targets.values  # (batch, classes) both
        total = F.binary_cross_entropy_with_logits(logits, wanted.float(), reduction="sum")
        return Loss(total, logits.numel(), {"macro_f1": count_several(logits.detach() > 0, wanted)})

    def result(self, predictions: Iterable[Prediction], classes: Sequence[str]) -> TaskResult:
        predictions = list(predictions)
        logits = torch.stack([each.output for each in predictions])  # (recordings, classes)
        wanted = torch.cat([each.target for each in predictions])
        counts = torch.stack([count_several(*each) for each in zip(logits[:, None] > 0, wanted[:, None], strict=True)])
        groups = groups_of([each.speaker for each in predictions])
        scores = score_counts(counts.flatten(1).double().numpy(), classes, groups)
        precisions = average_precision(logits.numpy(), wanted.numpy())
        for name, precision in zip(classes, precisions.tolist(), strict=True):
            scores["classes"][name]["average_precision"] = None if np.isnan(precision) else precision
        known = precisions[~np.isnan(precisions)]
        return TaskResult(scores | {"mean_average_precision": float(known.mean()) if len(known) else None})

    def notes(self, classes: Sequence[str]) -> Mapping[str, Any]:
        return {"labels": list(classes), "problem_type": "multi_label_classification"}

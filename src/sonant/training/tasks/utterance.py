"""Classification of whole recordings: keyword, language, emotion, intent."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonant.data import plain_label
from sonant.errors import ManifestError
from sonant.evaluation.bootstrap import measured_ratio
from sonant.evaluation.label_scores import score_labels
from sonant.evaluation.temperature import cross_fitted, expected_calibration_error, fit_temperature, softmax
from sonant.layers.packed import Packed
from sonant.loss import Loss, count_predictions
from sonant.tasks import AttentivePooling, LayerMix, SequenceClassificationHead
from sonant.training.tasks.results import Prediction, TaskResult, groups_of
from sonant.training.tasks.task import Task, settings_of
from sonant.training.validation import Criterion


@dataclass(frozen=True, kw_only=True)
class UtteranceTask(Task):
    """One label for a recording: a projection of each frame, their mean, and a linear layer; cross-entropy.

    The classes are the different labels of the training set, sorted. Metrics are accuracy and macro F1. At the end, a
    temperature is fitted to the development set, by which the probabilities of the saved model are calibrated.

    Attributes:
        projection_dim: width of the projected frames.
        pooling: "mean" of the projected frames, or "attention", a mean with learned weights, for which transformers has
            no class: the model is saved for sonant alone.
        choose_by: metric of the development set by which the best weights are chosen.
    """

    kind: ClassVar[str] = "sequence_classification"
    is_of_every_part: ClassVar[bool] = True

    projection_dim: int = 256
    pooling: Literal["mean", "attention"] = "mean"
    choose_by: Literal["macro_f1", "accuracy"] = "macro_f1"

    @property
    def criterion(self) -> Criterion:  # type: ignore[override]  # a class variable of other tasks
        return Criterion(self.choose_by, higher_is_better=True)

    @property
    def is_for_transformers(self) -> bool:
        return self.pooling == "mean"

    def with_columns(self, columns: tuple[str, ...]) -> Task:
        return IntentTask(**settings_of(self), columns=columns)

    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:
        found = tuple(sorted(set(labels)))
        if len(found) < 2:
            raise ManifestError(
                f"All {len(labels)} recordings have the label {found[0]!r}; expected two different labels or more. Is "
                "it the right field? Name another one: label=FIELD."
            )
        return found

    def head(self, dim: int, classes: Sequence[str], mix: LayerMix) -> SequenceClassificationHead:
        return SequenceClassificationHead(
            nn.Linear(dim, self.projection_dim),
            nn.Linear(self.projection_dim, len(classes)),
            mix,
            AttentivePooling.fresh(self.projection_dim) if self.pooling == "attention" else None,
        )

    def loss(self, outputs: Tensor, targets: Packed, classes: Sequence[str], *, training: bool) -> Loss:  # noqa: ARG002
        logits, labels = outputs.float(), targets.values  # (batch, classes), (batch,)
        predicted = logits.detach().argmax(-1)
        return Loss(
            F.cross_entropy(logits, labels, reduction="sum"),
            len(labels),
            {
                "accuracy": ((predicted == labels).sum(), len(labels)),
                "macro_f1": count_predictions(predicted, labels, len(classes)),
            },
        )

    def result(self, predictions: Iterable[Prediction], classes: Sequence[str]) -> TaskResult:
        predictions = list(predictions)
        logits = torch.stack([each.output for each in predictions]).double().numpy()  # (recordings, classes)
        labels = np.array([int(each.target[0]) for each in predictions])
        scores = score_labels(
            logits.argmax(1), labels, classes, groups=groups_of([each.speaker for each in predictions])
        )
        temperature = fit_temperature(logits, labels)
        calibration = {
            "temperature": temperature,
            "calibration_error": expected_calibration_error(softmax(logits), labels),
            "calibration_error_calibrated": expected_calibration_error(cross_fitted(logits, labels), labels),
        }
        return TaskResult({**scores, **calibration}, {"temperature": temperature})

    def notes(self, classes: Sequence[str]) -> Mapping[str, Any]:
        return {"labels": list(classes), "problem_type": "single_label_classification"}


@dataclass(frozen=True, kw_only=True)
class IntentTask(UtteranceTask):
    """One label in each of several fields, such as action, object and location, by one softmax over each.

    The loss is the sum of the cross-entropies of the fields. A recording is right only if all of its labels are; this
    is the metric accuracy, beside which `accuracy_FIELD` is that of a single field.

    Attributes:
        columns: names of the fields.

    Source: Lugosch et al. 2019 (arXiv 1904.03670), Fluent Speech Commands; intent classification in SUPERB.
    """

    columns: tuple[str, ...]

    @property
    def criterion(self) -> Criterion:  # type: ignore[override]
        return Criterion("accuracy", higher_is_better=True)

    def with_columns(self, columns: tuple[str, ...]) -> Task:
        return replace(self, columns=columns)

    def normalized(self, value: Any) -> str:
        labels = {name: plain_label(each) for name, each in value.items() if each is not None}
        if missing := [name for name in self.columns if not labels.get(name)]:
            raise ManifestError(
                f"it has no {' and no '.join(map(repr, missing))}; a recording has a label in each field. Write one of "
                "its own, such as none, where nothing is said of it"
            )
        return json.dumps(labels)

    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:
        found = {unit: None for label in labels for unit in self.units(label)}
        classes = tuple(name for column in self.columns for name in sorted(found) if name.startswith(f"{column}: "))
        if len(classes) == len(self.columns):
            super().classes(labels)  # which tells that all labels are the same
        return classes

    def units(self, label: str) -> list[str]:
        return [f"{name}: {value}" for name, value in json.loads(label).items()]

    def loss(self, outputs: Tensor, targets: Packed, classes: Sequence[str], *, training: bool) -> Loss:  # noqa: ARG002
        right = self._right(outputs.detach(), targets.values, classes)
        total, metrics = outputs.new_zeros((), dtype=torch.float32), {"accuracy": (right.all(1).sum(), len(right))}
        for number, (column, logits, labels) in enumerate(self._by_column(outputs, targets.values, classes)):
            total = total + F.cross_entropy(logits, labels, reduction="sum")
            metrics[f"accuracy_{column}"] = right[:, number].sum(), len(right)
        return Loss(total, len(right), metrics)

    def result(self, predictions: Iterable[Prediction], classes: Sequence[str]) -> TaskResult:
        predictions = list(predictions)
        outputs = torch.stack([each.output for each in predictions])
        targets = torch.stack([each.target for each in predictions])  # (recordings, fields)
        right = self._right(outputs, targets, classes)
        groups = groups_of([each.speaker for each in predictions])
        measures: dict[str, Any] = {"recordings": len(predictions)}
        hits = {"accuracy": right.all(1)} | {f"accuracy_{each}": right[:, i] for i, each in enumerate(self.columns)}
        return TaskResult(measures | {name: measured_ratio(own.numpy(), groups) for name, own in hits.items()})

    def notes(self, classes: Sequence[str]) -> Mapping[str, Any]:
        return {
            "labels": list(classes),
            "problem_type": "multi_label_classification",
            "groups": dict(zip(self.columns, self._sizes(classes), strict=True)),
        }

    def _sizes(self, classes: Sequence[str]) -> list[int]:
        return [sum(name.startswith(f"{column}: ") for name in classes) for column in self.columns]

    def _by_column(
        self, outputs: Tensor, targets: Tensor, classes: Sequence[str]
    ) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Yield logits (batch, labels) and labels (batch,) of each field, from targets of all fields."""
        sizes = self._sizes(classes)
        firsts = targets.new_tensor([sum(sizes[:number]) for number in range(len(sizes))])
        labels = targets.view(len(outputs), -1) - firsts
        yield from zip(self.columns, outputs.float().split(sizes, dim=1), labels.unbind(1), strict=True)

    def _right(self, outputs: Tensor, targets: Tensor, classes: Sequence[str]) -> Tensor:
        """Return which labels are the most probable of their fields, bool (batch, fields)."""
        found = [logits.argmax(1) == labels for _, logits, labels in self._by_column(outputs, targets, classes)]
        return torch.stack(found, dim=1)

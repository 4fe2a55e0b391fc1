"""Classification of whole recordings: keyword, language, emotion, intent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonant.errors import ManifestError
from sonant.evaluation.label_scores import score_labels
from sonant.evaluation.temperature import cross_fitted, expected_calibration_error, fit_temperature, softmax
from sonant.layers.packed import Packed
from sonant.loss import Loss, count_predictions
from sonant.tasks import AttentivePooling, LayerMix, SequenceClassificationHead
from sonant.training.tasks.results import Prediction, TaskResult, groups_of
from sonant.training.tasks.task import Task
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
    """

    kind: ClassVar[str] = "sequence_classification"
    criterion: ClassVar[Criterion] = Criterion("macro_f1", higher_is_better=True)

    projection_dim: int = 256
    pooling: Literal["mean", "attention"] = "mean"

    @property
    def is_for_transformers(self) -> bool:
        return self.pooling == "mean"

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

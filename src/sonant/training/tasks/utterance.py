"""Classification of whole recordings: keyword, language, emotion, intent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from sonant.errors import ManifestError
from sonant.layers.packed import Packed
from sonant.loss import Loss, count_predictions
from sonant.tasks import LayerMix, SequenceClassificationHead
from sonant.training.tasks.task import Task
from sonant.training.validation import Criterion


@dataclass(frozen=True, kw_only=True)
class UtteranceTask(Task):
    """One label for a recording: a projection of each frame, their mean, and a linear layer; cross-entropy.

    The classes are the different labels of the training set, sorted. Metrics are accuracy and macro F1.

    Attributes:
        projection_dim: width of the projected frames.
    """

    kind: ClassVar[str] = "sequence_classification"
    criterion: ClassVar[Criterion] = Criterion("macro_f1", higher_is_better=True)

    projection_dim: int = 256

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
            nn.Linear(dim, self.projection_dim), nn.Linear(self.projection_dim, len(classes)), mix
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

    def notes(self, classes: Sequence[str]) -> Mapping[str, Any]:
        return {"labels": list(classes), "problem_type": "single_label_classification"}

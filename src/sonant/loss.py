"""Protocol of objectives: a module that returns the sum of a loss and its count."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(init=False, eq=False)
class Loss:
    """Loss before averaging. Tensors stay on the device, so that a step does not synchronize with it.

    Attributes:
        sum: scalar with gradient, the sum of the loss over its terms (masked frames, utterances, ...).
        count: scalar, number of terms; the loop divides by the count over all ranks.
        metrics: name to (sum, count), scalars without gradient; reported as their ratio.
        class_counts: name to counts by class, which are summed until the next report: the number of frames of each
            class, (classes,), as given by `count_classes`, is reported as its perplexity, the number of classes in use;
            (3, classes), as given by `count_predictions`, as macro F1.
        vectors: of an evaluation (rows, width), which are measured together, see `Objective.of_vectors`; None: none.
    """

    sum: Tensor
    count: Tensor
    metrics: dict[str, tuple[Tensor, Tensor]]
    class_counts: dict[str, Tensor]
    vectors: Tensor | None

    def __init__(
        self,
        sum: Tensor,  # noqa: A002 - the name of the attribute
        count: Tensor | float,
        metrics: Mapping[str, tuple[Tensor | float, Tensor | float] | Tensor] | None = None,
        *,
        vectors: Tensor | None = None,
    ) -> None:
        """Convert counts and metrics that are numbers to tensors on the device; metrics hold class counts too."""
        self.sum, self.count = sum, _scalar(count, sum)
        self.metrics, self.class_counts, self.vectors = {}, {}, vectors
        for name, value in (metrics or {}).items():
            if isinstance(value, Tensor):
                self.class_counts[name] = value
            else:
                self.metrics[name] = _scalar(value[0], sum), _scalar(value[1], sum)


def count_classes(classes: Tensor, num_classes: int) -> Tensor:
    """Count each class in int64 (rows,): float32 (num_classes,), without the synchronization of `torch.bincount`."""
    counts = torch.zeros(num_classes, device=classes.device)
    return counts.index_add_(0, classes, torch.ones_like(classes, dtype=counts.dtype))


def count_predictions(predicted: Tensor, actual: Tensor, num_classes: int) -> Tensor:
    """Count predictions by class from int64 (rows,) of both: float32 (3, classes) of correct, predicted, actual."""
    correct = torch.zeros(num_classes, device=actual.device).index_add_(0, actual, (predicted == actual).float())
    return torch.stack([correct, count_classes(predicted, num_classes), count_classes(actual, num_classes)])


def count_several(predicted: Tensor, actual: Tensor) -> Tensor:
    """Count as `count_predictions` where a row has several classes or none, from bool (rows, classes) of both."""
    return torch.stack([(predicted & actual).sum(0), predicted.sum(0), actual.sum(0)]).float()


def _scalar(value: Tensor | float, like: Tensor) -> Tensor:
    return value.detach() if isinstance(value, Tensor) else torch.full((), value, device=like.device)


class Objective(nn.Module):
    """Module whose `forward(batch)` returns a `Loss`, for pretraining and tasks; other methods are optional."""

    def forward(self, batch: Any) -> Loss:
        """Return the loss of a batch, without synchronizing with the device."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(batch) that gives a Loss.")

    def start(self, batch: Any) -> None:
        """Initialize weights that depend on data, from the first batch."""

    def anneal(self, step: int) -> None:
        """Set values that depend on the step, such as a temperature; called before each update."""

    def warning(self, metrics: Mapping[str, float]) -> str | None:  # noqa: ARG002
        """Return a problem that metrics, averaged since the last report, show, and its cure; None if there is none."""
        return None

    def derived(self, metrics: Mapping[str, float]) -> dict[str, float]:  # noqa: ARG002
        """Return further metrics, computed from averaged ones, such as a perplexity from the loss."""
        return {}

    def of_vectors(self, vectors: Tensor) -> dict[str, float]:  # noqa: ARG002
        """Return metrics of a whole evaluation, from the vectors of all its losses (rows, width), on the CPU."""
        return {}

    def head_tensors(self) -> dict[str, Tensor]:
        """Return the tensors to save with the backbone, by their names in checkpoints."""
        return {}

    def head_notes(self) -> dict[str, Any]:
        """Return settings of the head that its tensors do not determine, as JSON values."""
        return {}

    def load_head(self, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
        """Load the head of a trained model, its tensors and notes; both are empty if its file has none."""

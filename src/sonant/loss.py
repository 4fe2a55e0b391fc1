"""What is trained, an objective, and its result: a sum and a count, which the loop averages over ranks and batches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(init=False, eq=False)
class Loss:
    """A loss before it is averaged. All of it stays on the device until a report is due, so that no step waits for it.

    Attributes:
        sum: scalar with gradient; the loss added up over what it counts (masked frames, utterances, ...).
        count: scalar, how many were counted; the loop divides by the count over all ranks.
        metrics: name to (sum, count), scalars without gradient; shown as their ratio.
    """

    sum: Tensor
    count: Tensor
    metrics: dict[str, tuple[Tensor, Tensor]]

    def __init__(
        self,
        sum: Tensor,  # noqa: A002 - the name of the attribute
        count: Tensor | float,
        metrics: Mapping[str, tuple[Tensor | float, Tensor | float]] | None = None,
    ) -> None:
        """Counts and metrics that the CPU knows may be given as numbers."""
        self.sum, self.count = sum, _scalar(count, sum)
        self.metrics = {name: (_scalar(a, sum), _scalar(b, sum)) for name, (a, b) in (metrics or {}).items()}


def _scalar(value: Tensor | float, like: Tensor) -> Tensor:
    return value.detach() if isinstance(value, Tensor) else torch.full((), value, device=like.device)


class Objective(nn.Module):
    """A module whose `forward(batch)` gives a `Loss`; pretraining and tasks alike.

    The loop calls the module itself, so that hooks run: those of DistributedDataParallel and FSDP synchronize
    gradients. Everything but `forward` may be left as it is here.
    """

    def forward(self, batch: Any) -> Loss:
        """Return the loss of a batch, not averaged; nothing in it waits for the device."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(batch) that gives a Loss.")

    def start(self, batch: Any) -> None:
        """Prepare fresh weights by the first batch, before the first update."""

    def anneal(self, step: int) -> None:
        """Set what changes as training goes on, such as a temperature; called before the update of that number."""

    def warning(self, metrics: Mapping[str, float]) -> str | None:  # noqa: ARG002
        """Return what is wrong, by the metrics averaged since the last report, and what to do; None if nothing is."""
        return None

    def head_tensors(self) -> dict[str, Tensor]:
        """Return the tensors trained beside the backbone, under the names of checkpoints."""
        return {}

    def head_notes(self) -> dict[str, Any]:
        """Return what the tensors of the head do not tell, as plain data."""
        return {}

    def load_head(self, tensors: Mapping[str, Tensor]) -> None:
        """Start from the head of a trained model, as `head_tensors` gives it, where this objective can."""

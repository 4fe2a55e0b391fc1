"""The result of an objective: a sum and a count, so that the loop can average over ranks and accumulated batches."""

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Loss:
    """A loss before it is averaged.

    Attributes:
        sum: scalar with gradient; the loss added up over what it counts (masked frames, utterances, ...).
        count: how many were counted; the loop divides by the count over all ranks.
        metrics: name to (sum, count); shown as their ratio.
    """

    sum: Tensor
    count: int
    metrics: dict[str, tuple[float, float]] = field(default_factory=dict)

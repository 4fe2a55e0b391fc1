"""Evaluation on held-out recordings, and the best weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from sonant.errors import CheckpointError
from sonant.loss import Objective
from sonant.training.log import LossSums
from sonant.training.precision import autocast
from sonant.training.prefetch import B_co, Prefetcher
from sonant.training.ranks import on_first, rank, world
from sonant.training.state import described, write

BEST = "best.pt"
TIE = 1e-10  # weight of a tie-break, below the difference of any two error rates
PREFIX = "held_out_"  # of metrics in reports


@dataclass(frozen=True)
class Criterion:
    """Measure by which the best weights are chosen.

    Attributes:
        metric: loss, or a metric of the objective.
        higher_is_better: choose the weights of the highest value.
        most: a higher cost counts as this one.
        tie_break: metric that decides between equal costs, the lower the better; "": the first weights stay.
    """

    metric: str = "loss"
    higher_is_better: bool = False
    most: float = inf
    tie_break: str = ""

    def cost(self, metrics: Mapping[str, float]) -> float:
        """Return a number, lower for better weights, from the metrics of `evaluate`."""
        value = metrics[f"{PREFIX}{self.metric}"]
        cost = min(-value if self.higher_is_better else value, self.most)
        return cost + TIE * metrics[f"{PREFIX}{self.tie_break}"] if self.tie_break else cost


LOWEST_LOSS = Criterion()


class HeldOut(Protocol[B_co]):
    """Batches for evaluation, a fixed number of them."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> B_co: ...


def evaluate(objective: Objective, batches: HeldOut[Any], device: torch.device, *, precision: str) -> dict[str, float]:
    """Return loss and metrics of held-out batches, named `held_out_...`; the ranks share the batches among them.

    The random seed is the number of the batch, so that results differ neither between calls nor by number of ranks.
    """
    sums = LossSums()
    devices = [device] if device.type == "cuda" else []
    numbers = range(rank(), len(batches), world())
    with torch.random.fork_rng(devices), torch.no_grad(), Prefetcher(batches, numbers, device) as stream:
        objective.eval()
        for number, batch in zip(numbers, stream, strict=True):
            torch.manual_seed(number)
            with autocast(device, precision):
                sums.add(objective(batch))
        objective.train()
    metrics = sums.averages()
    if (vectors := sums.vectors()) is not None:
        metrics |= objective.of_vectors(vectors)
    return {f"{PREFIX}{name}": value for name, value in {**metrics, **objective.derived(metrics)}.items()}


def keep_best(folder: Path, module: nn.Module, step: int, metrics: Mapping[str, float]) -> None:
    """Save the best weights so far."""
    on_first(lambda: write(folder / BEST, {"step": step, **metrics, "module": module.state_dict()}))


def load_best(folder: Path, module: nn.Module) -> None:
    """Load the best weights, if any were saved. Raises CheckpointError if their file is damaged."""
    path = folder / BEST
    if not path.exists():
        return
    try:
        module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["module"])
    except Exception as error:
        raise CheckpointError(
            f"The best weights in {path} cannot be read ({described(error)}): the file is damaged, or of another "
            "model. Put a copy back; or remove it, and the run ends with its last weights."
        ) from error

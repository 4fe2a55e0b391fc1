"""The loss of recordings that are held out, and the weights with which it was lowest."""

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from sonant.loss import Objective
from sonant.training.feed import B_co, Feed
from sonant.training.log import LossSums
from sonant.training.state import write_whole

BEST = "best.pt"


class HeldOut(Protocol[B_co]):
    """Batches that are evaluated, never learned from: always the same ones, so that losses can be compared."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> B_co: ...


def evaluate(objective: Objective, batches: HeldOut[Any], device: torch.device, *, precision: str) -> dict[str, float]:
    """The loss and metrics of held-out batches, each named `held_out_...`; random numbers are the same each time."""
    sums = LossSums()
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.no_grad(), Feed(batches, range(len(batches)), device) as stream:
        torch.manual_seed(0)
        objective.eval()
        for batch in stream:
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                sums.add(objective(batch))
        objective.train()
    return {f"held_out_{name}": value for name, value in sums.averages().items()}


def keep_best(folder: Path, module: nn.Module, step: int, loss: float) -> None:
    """Write the weights with the lowest loss so far."""
    write_whole(folder / BEST, {"step": step, "loss": loss, "module": module.state_dict()})


def load_best(folder: Path, module: nn.Module) -> None:
    """Go back to the weights with the lowest loss, where any were kept."""
    if (folder / BEST).exists():
        module.load_state_dict(torch.load(folder / BEST, map_location="cpu", weights_only=True)["module"])

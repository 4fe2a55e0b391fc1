"""Saved state of a training: weights, optimizer, step and random number generators."""

from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sonant.data.files import atomic
from sonant.data.settings import check_same_settings
from sonant.errors import CheckpointError, ConfigurationError
from sonant.training.ranks import gathered, on_first, rank, world

# Settings that may change upon resuming.
MAY_DIFFER = ("compile", "gradient_checkpointing", "log_every", "save_every", "validate_every")


@dataclass
class TrainingProgress:
    """Number of updates done, best evaluation, and audio so far.

    Attributes:
        best_cost: lowest `Criterion.cost`.
        num_samples: of all processes; None for the state of an earlier version, which does not say.
        stale: evaluations since the best one.
    """

    step: int = 0
    best_cost: float = inf
    num_samples: int | None = 0
    stale: int = 0

    def improves(self, cost: float) -> bool:
        """Take up the cost of an evaluation; return True if it is the lowest so far."""
        better = cost < self.best_cost
        self.best_cost, self.stale = (cost, 0) if better else (self.best_cost, self.stale + 1)
        return better


def save_state(
    path: Path,
    progress: TrainingProgress,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: dict[str, Any],
    device: torch.device,
) -> None:
    """Write the state from rank 0, with the random number generators of all processes, each on its device."""
    random = gathered(torch.get_rng_state())
    cuda_random = gathered(torch.cuda.get_rng_state(device) if device.type == "cuda" else None)
    state = {
        "step": progress.step,
        "best_loss": progress.best_cost,  # for every criterion; the name is that of earlier versions
        "num_samples": progress.num_samples,
        "stale": progress.stale,
        "settings": settings,
        "module": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "random": random,
        "cuda_random": cuda_random,
    }
    on_first(lambda: write(path, state))


def write(path: Path, state: dict[str, Any]) -> None:
    """Write a file atomically."""
    with atomic(path) as draft, draft.open("wb") as file:  # by a file of Python, whose errors say that a disk is full
        torch.save(state, file)


def described(error: Exception) -> str:
    """Return the first sentence of an error of torch, or its kind if it says nothing."""
    return str(error).split(". ")[0].removesuffix(".") or type(error).__name__


def load_state(
    path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, settings: dict[str, Any], device: torch.device
) -> TrainingProgress:
    """Load the state, if the file exists, and return its progress.

    Raises:
        ConfigurationError: the state is of other settings, or of another number of processes.
        CheckpointError: it is damaged, or of another model.
    """
    if not path.exists():
        return TrainingProgress()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        check_same_settings(path, state.get("settings", settings), settings, may_differ=MAY_DIFFER)
        if "best_loss" not in state:  # written by a version with one process and no validation
            state |= {"best_loss": inf, "random": [state["random"]], "cuda_random": [state["cuda_random"]]}
        if len(state["random"]) != world():
            raise ConfigurationError(
                f"{path} was written by {len(state['random'])} processes; {world()} cannot go on from it, as a step "
                "would take another number of batches. Start as many, or choose a new folder."
            )
        module.load_state_dict(state["module"])
        optimizer.load_state_dict(state["optimizer"])
    except ConfigurationError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"The run cannot go on from {path} ({described(error)}): the file is damaged, or of another model. Put a "
            "copy back, or choose a new folder."
        ) from error
    torch.set_rng_state(state["random"][rank()])
    cuda_random = state["cuda_random"][rank()]
    if isinstance(cuda_random, list):  # earlier versions wrote that of each GPU of the machine
        cuda_random = cuda_random[device.index] if device.type == "cuda" and cuda_random else None
    if device.type == "cuda" and cuda_random is not None:
        torch.cuda.set_rng_state(cuda_random, device)
    return TrainingProgress(state["step"], state["best_loss"], state.get("num_samples"), state.get("stale", 0))

"""The state of a run on disk: weights, optimizer, step and random numbers."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from sonant.data.files import atomic
from sonant.data.settings import check_settled
from sonant.errors import CheckpointError, ConfigurationError

FREE = ("log_every", "save_every")  # what may change when a training is taken up again


def save_state(
    path: Path, step: int, module: nn.Module, optimizer: torch.optim.Optimizer, settings: dict[str, Any]
) -> None:
    """Write the state beside the last one and then in its place, so that a crash leaves one of them whole."""
    state = {
        "step": step,
        "settings": settings,
        "module": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "random": torch.get_rng_state(),
        "cuda_random": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    with atomic(path) as draft:
        torch.save(state, draft)


def load_state(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, settings: dict[str, Any]) -> int:
    """Take up the state, if there is one, and return its step: 0 for a new run.

    Raises:
        ConfigurationError: the state is that of a training with other settings.
        CheckpointError: it is damaged, or of another model.
    """
    if not path.exists():
        return 0
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        check_settled(path, state.get("settings", settings), settings, free=FREE)
        module.load_state_dict(state["module"])
        optimizer.load_state_dict(state["optimizer"])
    except ConfigurationError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"The run cannot go on from {path}: {error}. If the model or its settings changed, choose a new folder."
        ) from error
    torch.set_rng_state(state["random"])
    if state["cuda_random"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda_random"])
    return state["step"]

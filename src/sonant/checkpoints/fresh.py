"""Checkpoints of models with random weights."""

from pathlib import Path

import torch

from sonant.checkpoints.checkpoint import Checkpoint
from sonant.checkpoints.load import load_checkpoint
from sonant.models.families import build
from sonant.models.fresh import FRESH


def fresh_or_loaded(model: str, *, seed: int) -> Checkpoint:
    """Return the checkpoint of a model, or one with random weights for a name in `FRESH`, unless a file has that name.

    Raises CheckpointError: it cannot be found or read.
    """
    if model not in FRESH or Path(model).exists():
        return load_checkpoint(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = build(FRESH[model]).state_dict()
    return Checkpoint(FRESH[model], state)

"""Heads of trained models, loaded into objectives."""

from collections.abc import Mapping

import torch
from torch import Tensor

from sonant.errors import CheckpointMismatch


def load_tensors(state: Mapping[str, Tensor], tensors: Mapping[str, Tensor], *, cure: str) -> None:
    """Copy tensors into those of an objective, by name. Raises CheckpointMismatch unless all names and shapes agree."""
    there, here = ({name: tuple(t.shape) for name, t in side.items()} for side in (tensors, state))
    if there != here:
        raise CheckpointMismatch(f"The head does not fit the objective: given {there}, expected {here}. {cure}")
    with torch.no_grad():
        for name, tensor in state.items():
            tensor.copy_(tensors[name])

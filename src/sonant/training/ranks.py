"""The processes that train together, as torch.distributed knows them; a single one where it is not initialized."""

from typing import TypeVar

import torch
from torch import Tensor, distributed

from sonant.loss import Objective

T = TypeVar("T")


def _together() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def rank() -> int:
    """The number of this process."""
    return distributed.get_rank() if _together() else 0


def world() -> int:
    """The number of processes."""
    return distributed.get_world_size() if _together() else 1


def summed(values: Tensor) -> Tensor:
    """The sum of a tensor over all processes, in place."""
    if _together():
        distributed.all_reduce(values)
    return values


def gathered(value: T) -> list[T]:
    """The values of all processes, by rank."""
    values: list[T] = [value] * world()
    if _together():
        distributed.all_gather_object(values, value)
    return values


def replicated(objective: Objective, device: torch.device) -> torch.nn.Module:
    """The objective with gradients averaged over all processes; itself where there is one process.

    Layers may be dropped in one process and not in another, so parameters without a gradient are expected.
    """
    if not _together():
        return objective
    devices = None if device.type == "cpu" else [device]
    return torch.nn.parallel.DistributedDataParallel(objective, device_ids=devices, find_unused_parameters=True)

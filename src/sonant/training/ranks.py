"""Processes of torch.distributed; a single one if it is not initialized."""

from typing import TypeVar

import torch
from torch import Tensor, distributed

from sonant.loss import Objective

T = TypeVar("T")


def _is_distributed() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def rank() -> int:
    """Number of this process."""
    return distributed.get_rank() if _is_distributed() else 0


def world() -> int:
    """Number of processes."""
    return distributed.get_world_size() if _is_distributed() else 1


def summed(values: Tensor) -> Tensor:
    """Sum a tensor over all processes, in place."""
    if _is_distributed():
        distributed.all_reduce(values)
    return values


def gathered(value: T) -> list[T]:
    """Gather the values of all processes, by rank."""
    values: list[T] = [value] * world()
    if _is_distributed():
        distributed.all_gather_object(values, value)
    return values


def data_parallel(objective: Objective, device: torch.device) -> torch.nn.Module:
    """Wrap an objective in DistributedDataParallel, unless there is one process.

    LayerDrop differs between processes, so parameters may have no gradient (`find_unused_parameters`).
    """
    if not _is_distributed():
        return objective
    devices = None if device.type == "cpu" else [device]
    return torch.nn.parallel.DistributedDataParallel(objective, device_ids=devices, find_unused_parameters=True)

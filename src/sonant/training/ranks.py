"""Processes of torch.distributed, as torchrun starts them; a single one if it is not initialized."""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.distributed.distributed_c10d import _get_default_store
from torch.nn.parallel import DistributedDataParallel

from sonant.errors import ConfigurationError, LostProcess, RankError, SonantWarning
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


@contextmanager
def process_group(device: str) -> Iterator[None]:
    """Join the processes that torchrun started, if it did: by gloo, and by NCCL on the GPU of LOCAL_RANK's number.

    Ranks above 0 show no warnings of sonant. Nothing happens if torch.distributed is initialized already.

    Raises:
        LostProcess: a process was killed.
        RankError: another process failed before this one, whatever the error here.
        ConfigurationError: the device cannot be shared among the processes.
    """
    if _is_distributed() or not distributed.is_torchelastic_launched():
        yield
        return
    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    failures = _get_default_store()
    try:
        with warnings.catch_warnings():
            if rank() > 0:
                warnings.simplefilter("ignore", SonantWarning)
            _choose_gpu(device)
            yield
    except RankError:
        raise
    except BaseException as error:
        if failures.add("failures", 1) > 1:
            raise RankError("Another process of this training failed first, and shows why.") from error
        if isinstance(error, distributed.DistError) or "third_party/gloo" in str(error):
            raise LostProcess(
                f"The connection to another process of this training broke ({error}). It was killed, perhaps for want "
                "of memory. The same command goes on from the last save."
            ) from error
        raise
    distributed.destroy_process_group()


def _choose_gpu(device: str) -> None:
    """Make the GPU of this process the current one, which is meant by "cuda"."""
    if device == "cpu":
        return
    if device != "cuda":
        raise ConfigurationError(
            f"device={device} was given to {world()} processes; expected cpu or cuda, of which each takes the GPU of "
            "its own number."
        )
    number, there = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if number >= there:
        raise ConfigurationError(
            f"There are {there} GPUs for {os.environ['LOCAL_WORLD_SIZE']} processes on this machine, and each needs "
            "one of its own: start torchrun with fewer (--nproc-per-node), or train with device=cpu."
        )
    torch.cuda.set_device(number)


def on_first(work: Callable[[], T]) -> T:
    """Run work on rank 0 alone, however long it takes, and return its result on all ranks, pickled.

    Raises:
        RankError: on the other ranks, if the work failed.
    """
    if not _is_distributed():
        return work()
    group = _patient_group(distributed.group.WORLD)  # before the work: the others wait for that of rank 0 to be made
    outcome: list[Any] = [None, False]  # result, and whether there is one
    try:
        if rank() == 0:
            outcome = [work(), True]
    finally:
        distributed.broadcast_object_list(outcome, group=group)
    if not outcome[1]:
        raise RankError("The process of rank 0 failed, and shows why.")
    result: T = outcome[0]
    return result


def first_then_others(work: Callable[[], T]) -> T:
    """Run work on rank 0, then on the others, which find the files that it wrote; return the result of each."""
    own: list[T] = []
    on_first(lambda: own.append(work()))
    return own[0] if own else work()


@lru_cache(1)
def _patient_group(_world: distributed.ProcessGroup) -> distributed.ProcessGroup:
    """Group without the usual timeout of half an hour, which k-means may exceed."""
    return distributed.new_group(backend="gloo", timeout=timedelta(days=365))


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


def vary_random_numbers() -> None:
    """Seed torch differently on ranks above 0, so that dropout differs between processes."""
    if rank() > 0:
        torch.manual_seed(torch.initial_seed() + rank())


def data_parallel(objective: Objective, device: torch.device) -> nn.Module:
    """Wrap an objective in DistributedDataParallel, unless there is one process.

    Parameters without gradient are looked for in each batch if LayerDrop skips layers. After parameters were frozen or
    unfrozen the objective must be wrapped again.
    """
    if not _is_distributed():
        return objective
    devices = None if device.type == "cpu" else [device]
    drops_layers = any(getattr(module, "layerdrop", 0) > 0 for module in objective.modules())
    return DistributedDataParallel(objective, device_ids=devices, find_unused_parameters=drops_layers)

"""Runs of stages: the names of their folders, and going on with the first stage that is not finished."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from sonant.errors import ConfigurationError
from sonant.training.ranks import on_first

S = TypeVar("S")
R = TypeVar("R")


def carry_out(
    stages: Sequence[S],
    result: R,
    *,
    is_finished: Callable[[S], bool],
    load: Callable[[S, R], R],
    work: Callable[[S, R], R],
) -> R:
    """Carry out stages one after the other, and return the result of the last one.

    Args:
        stages: in order.
        result: what the first stage starts from.
        is_finished: tells by the files of a stage whether an earlier call has finished it; asked on rank 0 alone.
        load: returns the result of a finished stage, given that of the stage before.
        work: does a stage, from where an earlier call has left it, given the result of the stage before.
    """
    for stage in stages:
        step = load if on_first(partial(is_finished, stage)) else work
        result = step(stage, result)
    return result


def check_folder_names(*names: str) -> None:
    """Raise ConfigurationError unless each run or stage has a name that a folder can have."""
    for name in names:
        if not name or name in (".", "..") or set(name) & set("/\\"):
            raise ConfigurationError(f"A run and its stages name folders, and {name!r} is no name for one.")

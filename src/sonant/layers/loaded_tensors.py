"""Tensors of files, loaded into layers of the same shapes."""

from collections.abc import Mapping

import torch
from torch import Tensor

from sonant.errors import CheckpointMismatch

MOST_SHOWN = 8


def load_tensors(own: Mapping[str, Tensor], given: Mapping[str, Tensor], *, what: str, cure: str) -> None:
    """Copy tensors into others by name, once all names and shapes agree.

    Args:
        own: tensors of a layer, which get the values.
        given: tensors with these values.
        what: the layer, at the beginning of a message.
        cure: what to do, at its end.

    Raises:
        CheckpointMismatch: names or shapes differ.
    """
    expected, there = ({name: tuple(tensor.shape) for name, tensor in side.items()} for side in (own, given))
    wrong = [
        f"{name} is {there.get(name, 'missing')}, expected {expected.get(name, 'no such tensor')}"
        for name in sorted(expected.keys() | there.keys())
        if expected.get(name) != there.get(name)
    ]
    if wrong:
        more = f"; and {len(wrong) - MOST_SHOWN} more" if len(wrong) > MOST_SHOWN else ""
        raise CheckpointMismatch(
            f"{what} has other tensors than its settings describe: {'; '.join(wrong[:MOST_SHOWN])}{more}. {cure}"
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(given[name])

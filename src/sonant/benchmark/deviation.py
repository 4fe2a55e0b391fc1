"""How far the states of one system are from those of another: on disk in between, as each has a process of its own."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sonant.benchmark.systems import States
from sonant.errors import MeasurementError
from sonant.inference.int8.check import lowest_cosine


@dataclass(frozen=True)
class Deviation:
    """Of every frame of every state that both systems have; the worst state each.

    Attributes:
        error: the norm of the difference over the norm of the reference.
        cosine: of the frame that points away farthest.
        pooled: the same of mean vectors, one a clip.
        states: how many were compared.
        standardised: as `cosine`, with each channel less its mean in the reference and over its deviation there, as a
            linear probe sees it: a few large channels would hide what all others have lost. None: not measured.
    """

    error: float
    error_at: str
    cosine: float
    cosine_at: str
    pooled: float
    states: int
    standardised: float | None = None
    standardised_at: str = ""


def relative_error(given: Tensor, expected: Tensor) -> float:
    """The norm of the difference over the norm of what was expected."""
    return float((given.double() - expected.double()).norm() / expected.double().norm())


def keep(states: States, folder: Path) -> None:
    """Write the reference's states."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, clips in states.items():
        np.save(folder / f"{name}.npy", torch.cat(clips).float().numpy())


def deviation(states: States, folder: Path) -> Deviation:
    """Compare with the states that the reference has left."""
    errors: dict[str, float] = {}
    cosines: dict[str, float] = {}
    standard: dict[str, float] = {}
    pooled: list[float] = []
    for name, clips in states.items():
        path = folder / f"{name}.npy"
        if not path.exists():
            continue
        expected = torch.from_numpy(np.load(path))  # (frames, dim)
        given = torch.cat(clips).float()
        if given.shape != expected.shape:
            raise MeasurementError(f"State {name} is {tuple(given.shape)}, the reference's {tuple(expected.shape)}.")
        errors[str(name)] = relative_error(given, expected)
        cosines[str(name)] = lowest_cosine(given, expected)
        standard[str(name)] = lowest_cosine(*standardised(given, expected))
        means = [torch.stack([clip.mean(0) for clip in x.split(list(map(len, clips)))]) for x in (given, expected)]
        pooled.append(lowest_cosine(*means))
    if not errors:
        raise MeasurementError(f"No state is in both: {', '.join(map(str, states))}, and what lies in {folder}.")
    error_at, cosine_at = max(errors, key=errors.__getitem__), min(cosines, key=cosines.__getitem__)
    standard_at = min(standard, key=standard.__getitem__)
    return Deviation(
        errors[error_at],
        error_at,
        cosines[cosine_at],
        cosine_at,
        min(pooled),
        len(errors),
        standard[standard_at],
        standard_at,
    )


def standardised(given: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
    """Both (frames, dim) less the mean of the expected frames, over their standard deviation, channel by channel.

    A deviation below the rounding of bfloat16 counts as that: such a channel is as good as constant.
    """
    mean, deviation = expected.double().mean(0), expected.double().std(0, correction=0)
    deviation = deviation.maximum(torch.finfo(torch.bfloat16).eps * mean.abs())
    deviation = torch.where(deviation > 0, deviation, 1.0)
    return (given.double() - mean) / deviation, (expected.double() - mean) / deviation

"""Deviations between the hidden states of two systems, exchanged through files since each has its own process."""

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
    """The deviation of the states that both systems have; each field is that of the worst state.

    Attributes:
        error: norm of the difference over the norm of the reference.
        cosine: lowest cosine of a frame with that of the reference.
        pooled: lowest cosine of the mean vectors of clips.
        states: number of compared states.
        standardized: as `cosine`, with each channel standardized by mean and deviation of the reference, since a few
            large channels would hide errors in all others. None: not measured.
    """

    error: float
    error_at: str
    cosine: float
    cosine_at: str
    pooled: float
    states: int
    standardized: float | None = None
    standardized_at: str = ""


def relative_error(given: Tensor, expected: Tensor) -> float:
    """Return the norm of the difference divided by the norm of the expected values."""
    return float((given.double() - expected.double()).norm() / expected.double().norm())


def keep(states: States, folder: Path) -> None:
    """Write the states of the reference into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, clips in states.items():
        np.save(folder / f"{name}.npy", torch.cat(clips).float().numpy())


def deviation(states: States, folder: Path) -> Deviation:
    """Compare states with those of the reference in a folder, written by `keep`."""
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
        standard[str(name)] = lowest_cosine(*standardized(given, expected))
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


def standardized(given: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
    """Standardize each channel of both (frames, dim) by mean and standard deviation of the expected frames.

    Standard deviations have a minimum, the rounding error of bfloat16: below it a channel is practically constant.
    """
    mean, deviation = expected.double().mean(0), expected.double().std(0, correction=0)
    deviation = deviation.maximum(torch.finfo(torch.bfloat16).eps * mean.abs())
    deviation = torch.where(deviation > 0, deviation, 1.0)
    return (given.double() - mean) / deviation, (expected.double() - mean) / deviation

"""Bootstrap of measures that are functions of sums over recordings, drawn singly or by group."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sonant.errors import ConfigurationError, MeasurementError

Floats = npt.NDArray[np.float64]
MOST_DRAWS = 2**21  # held in memory at once


class Interval(NamedTuple):
    """Bounds of a confidence interval."""

    low: float
    high: float

    def around(self, value: float | np.floating) -> dict[str, float]:
        """Return JSON values: the `value` that the interval is of, `low` and `high`."""
        return {"value": float(value), "low": self.low, "high": self.high}


def resampled_totals(
    values: npt.ArrayLike, groups: Sequence[str] | None = None, *, resamples: int = 1000, seed: int = 0
) -> Floats:
    """Draw as many recordings, or groups of them, with replacement, and sum their values: (resamples, measures).

    Args:
        values: (recordings, measures).
        groups: of each recording, such as its speaker, whose recordings are dependent; None: each by itself.

    Raises:
        ConfigurationError: no resamples.
        MeasurementError: no recordings, values that are not finite, or another number of groups.
    """
    if resamples < 1:
        raise ConfigurationError(f"resamples={resamples} was given; expected 1 or more.")
    given = np.asarray(values, dtype=np.float64)
    names = np.arange(len(given)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    if given.ndim != 2 or not len(given) or len(names) != len(given) or not np.isfinite(given).all():
        raise MeasurementError(
            f"Values of shape {given.shape} were given with {len(names)} groups; expected (recordings, measures), one "
            "recording or more, finite, and a group for each."
        )
    sums = np.zeros((int(names.max()) + 1, given.shape[1]))
    np.add.at(sums, names, given)
    generator, count, totals = np.random.default_rng(seed), len(sums), []
    at_once = max(1, MOST_DRAWS // count)
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        drawn = generator.integers(count, size=(size, count)) + count * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)  # that each group was drawn
        totals.append(times @ sums)
    return np.concatenate(totals)


def interval_of(values: Floats, *, level: float = 0.95) -> Interval:
    """Return the percentile interval of the measures (resamples,) of resampled totals. Raises ConfigurationError."""
    if not 0 < level < 1:
        raise ConfigurationError(f"level={level} was given; expected a share between 0 and 1, such as 0.95.")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))

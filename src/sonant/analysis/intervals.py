"""Intervals of measures that are no ratio of sums, from values without one group of recordings each.

The delete-a-group jackknife: with v the measure of all recordings, v_g without group g, G groups and m the mean of the
v_g, the standard error is

    s = sqrt((G - 1) / G * sum of (v_g - m)^2),    the interval v - 1.96 s to v + 1.96 s.

A bootstrap would repeat recordings, and equal frames make similarities and correlations too large.

Source: Kott, "The delete-a-group jackknife", Journal of Official Statistics 17, 2001.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from sonant.analysis.layer_report import Estimate

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.bool_]

GROUPS = 10
TWO_SIDED_95 = 1.96


def deleted_groups(
    names: Sequence[str] | npt.NDArray[np.generic], *, groups: int = GROUPS, seed: int = 0
) -> list[Rows]:
    """Return for each group of names, such as speakers, the rows that are left without it: bool (rows,)."""
    unique, member = np.unique(np.asarray(names), return_inverse=True)
    count = min(groups, len(unique))
    if count < 2:
        return []
    group = np.random.default_rng(seed).permutation(len(unique)) % count
    return [group[member] != number for number in range(count)]


def with_and_without(measure: Callable[[Rows], float], num_rows: int, left: Sequence[Rows]) -> Floats:
    """Compute a measure of all rows, and of those left without each group: (1 + groups,)."""
    return np.array([measure(np.ones(num_rows, dtype=bool)), *(measure(rows) for rows in left)])


def standard_error(values: Floats) -> float | None:
    """Return the jackknife's standard error of values (1 + groups,); None without groups."""
    without = values[1:]
    if not len(without):
        return None
    return float(np.sqrt((len(without) - 1) / len(without) * np.square(without - without.mean()).sum()))


def estimate(values: Floats) -> Estimate:
    """Return the value of all rows with its interval, from values (1 + groups,)."""
    error = standard_error(values)
    value = float(values[0])
    if error is None:
        return Estimate(value)
    return Estimate(value, value - TWO_SIDED_95 * error, value + TWO_SIDED_95 * error)


def as_good_as(best: int, values: Floats) -> tuple[int, ...]:
    """Return the layers whose difference from the best is within its interval, from values (layers, 1 + groups)."""
    good = []
    for layer, of_layer in enumerate(values):
        found = estimate(of_layer - values[best])
        if layer == best or (found.low is not None and found.high is not None and found.low <= 0 <= found.high):
            good.append(layer)
    return tuple(good)


def fold_estimate(values: Floats) -> Estimate:
    """Return the mean over folds, with an interval of 1.96 standard errors of it, from values (folds,)."""
    value, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
    return Estimate(value, value - TWO_SIDED_95 * error, value + TWO_SIDED_95 * error)


def as_good_by_folds(best: int, values: Floats) -> tuple[int, ...]:
    """Return the layers whose difference from the best is within its interval, from values (layers, folds)."""
    differences = [fold_estimate(of_layer - values[best]) for of_layer in values]
    return tuple(
        layer
        for layer, found in enumerate(differences)
        if layer == best or (found.low is not None and found.high is not None and found.low <= 0 <= found.high)
    )


def as_good_by_resamples(best: int, replicates: Floats) -> tuple[int, ...]:
    """Return the layers whose difference from the best is within its percentile interval, from (layers, resamples)."""
    low, high = np.quantile(replicates - replicates[best], [0.025, 0.975], axis=1)
    return tuple(np.flatnonzero((low <= 0) & (high >= 0)).tolist())

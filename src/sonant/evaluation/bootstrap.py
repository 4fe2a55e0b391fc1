"""Bootstrap intervals of ratios, and paired comparisons of two systems.

A measure is a ratio of sums over clips, such as errors over words, or hits over clips. Clips of one speaker are
dependent, so that groups of clips are drawn where the speakers are known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from sonant.errors import MeasurementError
from sonant.evaluation.resampling import MOST_DRAWS, Floats, Interval, interval_of, resampled_totals


def bootstrap_interval(
    values: npt.ArrayLike,
    groups: Sequence[str] | None = None,
    *,
    weights: npt.ArrayLike | None = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Compute a bootstrap percentile interval of a ratio, resampling clips or groups.

    The ratio is sum(values) / sum(weights); without `weights`, the mean. Values are hits (0 or 1), errors, or
    differences of two systems on the same clips.

    Args:
        values: (clips,).
        groups: group of each clip (clips,), such as its speaker; None: each clip is resampled by itself.
        weights: (clips,), such as numbers of words.

    Raises:
        MeasurementError: shapes that differ, no clips, or weights that are negative or all zero.
    """
    ratios = _resampled(*_group_sums(values, weights, groups), resamples=resamples, seed=seed)
    return interval_of(ratios, level=level)


def measured_ratio(
    values: npt.ArrayLike, groups: Sequence[str] | None = None, *, weights: npt.ArrayLike | None = None
) -> dict[str, float]:
    """Return a ratio as `value`, with `low` and `high` of its interval; arguments as in `bootstrap_interval`."""
    interval = bootstrap_interval(values, groups, weights=weights)
    total = np.sum(values, dtype=np.float64)
    return interval.around(total / (np.size(values) if weights is None else np.sum(weights, dtype=np.float64)))


@dataclass(frozen=True, kw_only=True)
class PairedComparison:
    """Comparison of two systems on the same clips.

    Attributes:
        difference: ratio of the second system minus that of the first.
        low, high: 95 % bootstrap interval of the difference.
        probability_of_improvement: share of resamples in which the second system has the lower ratio.
        p_value: two-sided, of a permutation test: the share of exchanges of the systems, in any groups, whose
            difference is as large. Its least value is 2 / 2^groups.
        groups: number of groups (speakers, or clips) that were resampled and exchanged.
    """

    difference: float
    low: float
    high: float
    probability_of_improvement: float
    p_value: float
    groups: int


def compare_paired(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    groups: Sequence[str] | None = None,
    *,
    weights: npt.ArrayLike | None = None,
    resamples: int = 1000,
    permutations: int = 10_000,
    seed: int = 0,
) -> PairedComparison:
    """Compare the values of two systems, lower is better; arguments as in `bootstrap_interval`.

    Source: Bisani and Ney, ICASSP 2004, for interval and probability of improvement (resampling by speaker too);
    Noreen, "Computer-intensive methods for testing hypotheses", 1989, for the test.
    """
    values = [np.asarray(each, dtype=np.float64) for each in (first, second)]
    if values[0].shape != values[1].shape:
        raise MeasurementError(
            f"Values of two systems on the same clips are compared; their shapes are {values[0].shape} and "
            f"{values[1].shape}."
        )
    sums, sizes = _group_sums(values[1] - values[0], weights, groups)
    ratios = _resampled(sums, sizes, resamples=resamples, seed=seed)
    low, high = interval_of(ratios)
    return PairedComparison(
        difference=float(sums.sum() / sizes.sum()),
        low=low,
        high=high,
        probability_of_improvement=float((ratios < 0).mean()),
        p_value=_permutation_p(sums, permutations, seed),
        groups=len(sums),
    )


def _group_sums(
    values: npt.ArrayLike, weights: npt.ArrayLike | None, groups: Sequence[str] | None
) -> tuple[Floats, Floats]:
    """Return the sums of values and weights by group."""
    per_clip = np.asarray(values, dtype=np.float64)
    per_weight = np.ones(per_clip.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    names = np.arange(len(per_clip)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    if per_clip.ndim != 1 or not per_clip.shape == per_weight.shape == names.shape:
        raise MeasurementError(
            f"Values, weights and groups are of one length; their shapes are {per_clip.shape}, {per_weight.shape} and "
            f"{names.shape}."
        )
    if not (per_weight >= 0).all() or not per_weight.sum() > 0 or not np.isfinite(per_clip).all():
        raise MeasurementError(
            f"A ratio needs finite values, and weights that are not negative and not all zero; {len(per_clip)} values "
            f"were given, whose weights sum to {per_weight.sum():g}. Are all references empty?"
        )
    sums, sizes = (np.bincount(names, weights=each).astype(np.float64) for each in (per_clip, per_weight))
    return sums, sizes


def _resampled(sums: Floats, sizes: Floats, *, resamples: int, seed: int) -> Floats:
    """Return the ratios of resamples of the groups, (resamples,); those without any weight are left out."""
    totals = resampled_totals(np.stack([sums, sizes], axis=1), resamples=resamples, seed=seed)
    kept = totals[totals[:, 1] > 0]
    return np.asarray(kept[:, 0] / kept[:, 1])


def _permutation_p(sums: Floats, permutations: int, seed: int) -> float:
    """Return the share of changes of sign of the sums (groups,) whose total is as large; all, if they are few."""
    sums = sums[sums != 0]
    observed = abs(sums.sum()) * (1 - 1e-12)  # rounding
    if 2.0 ** len(sums) <= permutations:
        signs = np.array(list(product((-1, 1), repeat=len(sums))), dtype=np.float64)
        return float((abs(signs @ sums) >= observed).mean()) if len(sums) else 1.0
    generator, as_large = np.random.default_rng(seed), 0
    at_once = max(1, MOST_DRAWS // len(sums))
    for start in range(0, permutations, at_once):
        signs = generator.choice([-1.0, 1.0], size=(min(at_once, permutations - start), len(sums)))
        as_large += int((abs(signs @ sums) >= observed).sum())
    return (as_large + 1) / (permutations + 1)

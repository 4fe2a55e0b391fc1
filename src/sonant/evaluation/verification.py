"""Speaker verification metrics: scores of target trials (same speaker) and non-target trials (two speakers)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sonant.errors import ConfigurationError, MeasurementError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DetectionCurve:
    """The error rates at every threshold; a trial is accepted if its score is at least the threshold.

    The first threshold accepts all trials, the last (infinity) none; equal scores have one threshold.
    """

    thresholds: Floats  # (points,), increasing
    false_accept: Floats  # (points,), false acceptance rate, falling from 1 to 0
    false_reject: Floats  # (points,), false rejection rate, rising from 0 to 1


def detection_curve(
    scores: npt.ArrayLike, labels: npt.ArrayLike, *, weights: npt.ArrayLike | None = None
) -> DetectionCurve:
    """Compute the detection curve of `scores` (trials,) with `labels` (trials,), 1 or True for a target.

    `weights` (trials,), by default 1, are the number of times that a trial counts. Raises MeasurementError for shapes
    that differ, scores that are not finite, and trials of one kind only.
    """
    scores, targets, weights = _trials(scores, labels, weights)
    thresholds, group = np.unique(scores, return_inverse=True)
    target_mass = np.bincount(group, weights=weights * targets, minlength=len(thresholds))  # (thresholds,)
    other_mass = np.bincount(group, weights=weights * ~targets, minlength=len(thresholds))
    rejected = np.concatenate([[0.0], np.cumsum(target_mass)])
    refused = np.concatenate([[0.0], np.cumsum(other_mass)])
    if rejected[-1] <= 0 or refused[-1] <= 0:
        raise MeasurementError(
            f"Detection needs targets and non-targets; the total weight of the targets is {rejected[-1]:g}, that of "
            f"the non-targets {refused[-1]:g}. Are the labels 1 for same and 0 for different?"
        )
    return DetectionCurve(
        thresholds=np.concatenate([thresholds, [np.inf]]),
        false_accept=1.0 - refused / refused[-1],
        false_reject=rejected / rejected[-1],
    )


def eer(scores: npt.ArrayLike, labels: npt.ArrayLike, *, weights: npt.ArrayLike | None = None) -> float:
    """Compute the equal error rate, 0 to 1: where the linearly interpolated detection curve crosses the diagonal.

    Higher scores mean "same". Arguments and errors as in `detection_curve`.
    """
    curve = detection_curve(scores, labels, weights=weights)
    gap = curve.false_reject - curve.false_accept  # rises from -1 to 1
    right = int(np.argmax(gap >= 0))
    left = right - 1
    share = -gap[left] / (gap[right] - gap[left])  # gap[left] < 0 <= gap[right], so the divisor is positive
    return float(curve.false_reject[left] + share * (curve.false_reject[right] - curve.false_reject[left]))


def min_dcf(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    target_prior: float = 0.01,
    miss_cost: float = 1.0,
    false_accept_cost: float = 1.0,
    weights: npt.ArrayLike | None = None,
) -> float:
    """Compute the minimum normalized detection cost over all thresholds, 0 to 1:

        cost(t) = miss_cost * P_miss(t) * target_prior + false_accept_cost * P_fa(t) * (1 - target_prior)

    divided by the lower cost of accepting, or of rejecting, all trials. No interpolation between thresholds. The
    defaults are an operating point of NIST SRE 2016.
    """
    if not 0 < target_prior < 1:
        raise ConfigurationError(f"target_prior is a probability strictly between 0 and 1; {target_prior} was given.")
    if miss_cost <= 0 or false_accept_cost <= 0:
        raise ConfigurationError(
            f"Costs are positive; miss_cost={miss_cost} and false_accept_cost={false_accept_cost} were given."
        )
    curve = detection_curve(scores, labels, weights=weights)
    miss = miss_cost * target_prior
    accept = false_accept_cost * (1 - target_prior)
    cost = miss * curve.false_reject + accept * curve.false_accept
    return float(cost.min() / min(miss, accept))


def speaker_bootstrap(
    measure: Callable[..., float],
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    speakers: Sequence[tuple[str, str]],
    *,
    resamples: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Compute a bootstrap percentile interval of `measure(scores, labels, weights=...)` by resampling speakers.

    Trials of the same speakers are dependent, and resampling trials would give too narrow an interval. The weight of a
    trial is the product of the counts of its two speakers, or the count if both are the same.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if len(speakers) != len(scores):
        raise MeasurementError(
            f"{len(scores)} scores with {len(speakers)} pairs of speakers: one pair is needed for each trial."
        )
    names, indices = np.unique(np.asarray(speakers, dtype=str), return_inverse=True)
    first, second = indices.reshape(-1, 2).T
    generator = np.random.default_rng(seed)
    targets = np.asarray(labels).astype(bool)
    values = []
    for _ in range(resamples):
        counts = np.bincount(generator.integers(len(names), size=len(names)), minlength=len(names))
        weights = np.where(first == second, counts[first], counts[first] * counts[second])
        if weights[targets].any() and weights[~targets].any():  # with few speakers, one kind of trial may be missing
            values.append(measure(scores, labels, weights=weights))
    if not values:
        raise MeasurementError(
            f"No draw from {len(names)} speakers held both targets and non-targets; more speakers are needed."
        )
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _trials(
    scores: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None
) -> tuple[Floats, npt.NDArray[np.bool_], Floats]:
    checked_scores = np.asarray(scores, dtype=np.float64)
    checked_labels = np.asarray(labels)
    checked_weights = np.ones(checked_scores.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    if checked_scores.ndim != 1 or not checked_scores.shape == checked_labels.shape == checked_weights.shape:
        raise MeasurementError(
            f"Scores, labels and weights are flat and of one length; their shapes are {checked_scores.shape}, "
            f"{checked_labels.shape} and {checked_weights.shape}."
        )
    strange = np.flatnonzero(~np.isfinite(checked_scores))
    if len(strange):
        raise MeasurementError(
            f"{len(strange)} of {len(checked_scores)} scores are NaN or infinite, the first at {strange[0]}: "
            f"{checked_scores[strange[0]]}. A cosine with a zero vector gives NaN."
        )
    if not np.isin(checked_labels, [0, 1]).all():
        raise MeasurementError(
            f"Labels are 1 (same) or 0 (different); found {np.unique(checked_labels)[:5].tolist()}. "
            "Were scores and labels exchanged?"
        )
    if not (np.isfinite(checked_weights) & (checked_weights >= 0)).all():
        raise MeasurementError("Weights are finite and not negative.")
    return checked_scores, checked_labels.astype(bool), checked_weights

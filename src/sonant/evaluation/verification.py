"""Speaker verification metrics: scores of target trials (same speaker) and non-target trials (two speakers)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sonant.errors import ConfigurationError, MeasurementError
from sonant.evaluation.resampling import interval_of

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DetectionCurve:
    """The error rates at every threshold; a trial is accepted if its score is at least the threshold.

    The first threshold accepts all trials, the last (infinity) none; equal scores have one threshold.
    """

    thresholds: Floats  # (points,), increasing
    false_accept: Floats  # (points,), false acceptance rate, falling from 1 to 0
    false_reject: Floats  # (points,), false rejection rate, rising from 0 to 1

    def eer(self) -> float:
        """Compute the equal error rate, as the function `eer`."""
        gap = self.false_reject - self.false_accept  # rises from -1 to 1
        right = int(np.argmax(gap >= 0))
        left = right - 1
        share = -gap[left] / (gap[right] - gap[left])  # gap[left] < 0 <= gap[right], so the divisor is positive
        return float(self.false_reject[left] + share * (self.false_reject[right] - self.false_reject[left]))

    def min_dcf(self, target_prior: float, miss_cost: float = 1.0, false_accept_cost: float = 1.0) -> float:
        """Compute the minimum detection cost, as the function `min_dcf`."""
        if not 0 < target_prior < 1:
            raise ConfigurationError(
                f"target_prior is a probability strictly between 0 and 1; {target_prior} was given."
            )
        if miss_cost <= 0 or false_accept_cost <= 0:
            raise ConfigurationError(
                f"Costs are positive; miss_cost={miss_cost} and false_accept_cost={false_accept_cost} were given."
            )
        miss, accept = miss_cost * target_prior, false_accept_cost * (1 - target_prior)
        return float((miss * self.false_reject + accept * self.false_accept).min() / min(miss, accept))


class ScoredTrials:
    """Scored trials, sorted once for detection curves with many weights.

    Args:
        scores: (trials,); higher ones mean the same speaker.
        labels: (trials,), 1 or True for a target.

    Raises:
        MeasurementError: shapes that differ, scores that are not finite, or labels that are neither 0 nor 1.
    """

    def __init__(self, scores: npt.ArrayLike, labels: npt.ArrayLike) -> None:
        self.scores, self.targets = _checked(scores, labels)
        self._thresholds, self._group = np.unique(self.scores, return_inverse=True)

    def curve(self, weights: npt.ArrayLike | None = None) -> DetectionCurve:
        """Compute the curve with `weights` (trials,), the number of times that each trial counts, by default once.

        Raises MeasurementError for weights that are negative, and trials of one kind only.
        """
        given = _checked_weights(weights, self.scores)
        points = len(self._thresholds)
        target_mass = np.bincount(self._group, weights=given * self.targets, minlength=points)  # (thresholds,)
        other_mass = np.bincount(self._group, weights=given * ~self.targets, minlength=points)
        rejected = np.concatenate([[0.0], np.cumsum(target_mass)])
        refused = np.concatenate([[0.0], np.cumsum(other_mass)])
        if rejected[-1] <= 0 or refused[-1] <= 0:
            raise MeasurementError(
                f"Detection needs targets and non-targets; the total weight of the targets is {rejected[-1]:g}, that "
                f"of the non-targets {refused[-1]:g}. Are the labels 1 for same and 0 for different?"
            )
        return DetectionCurve(
            thresholds=np.concatenate([self._thresholds, [np.inf]]),
            false_accept=1.0 - refused / refused[-1],
            false_reject=rejected / rejected[-1],
        )


def detection_curve(
    scores: npt.ArrayLike, labels: npt.ArrayLike, *, weights: npt.ArrayLike | None = None
) -> DetectionCurve:
    """Compute the detection curve of `scores` (trials,) with `labels` (trials,), 1 or True for a target.

    `weights` (trials,), by default 1, are the number of times that a trial counts. Raises MeasurementError for shapes
    that differ, scores that are not finite, and trials of one kind only.
    """
    return ScoredTrials(scores, labels).curve(weights)


def eer(scores: npt.ArrayLike, labels: npt.ArrayLike, *, weights: npt.ArrayLike | None = None) -> float:
    """Compute the equal error rate, 0 to 1: where the linearly interpolated detection curve crosses the diagonal.

    Higher scores mean "same". Arguments and errors as in `detection_curve`.
    """
    return detection_curve(scores, labels, weights=weights).eer()


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
    return detection_curve(scores, labels, weights=weights).min_dcf(target_prior, miss_cost, false_accept_cost)


def cllr(ratios: npt.ArrayLike, labels: npt.ArrayLike, *, weights: npt.ArrayLike | None = None) -> float:
    """Compute the cost of natural log-likelihood ratios (trials,) in bits, 0 or more:

        (mean over targets of log2(1 + exp(-llr)) + mean over non-targets of log2(1 + exp(llr))) / 2

    Ratios that say nothing (0) cost 1. Arguments and errors as in `detection_curve`.

    Source: Brummer and du Preez, Computer Speech and Language 2006.
    """
    values, targets = _checked(ratios, labels)
    given = _checked_weights(weights, values)
    if not (given * targets).sum() > 0 or not (given * ~targets).sum() > 0:
        raise MeasurementError("Cllr needs targets and non-targets with a weight above 0, and has those of one kind.")
    bits = np.logaddexp(0, np.where(targets, -values, values)) / np.log(2)
    return float(sum(np.average(bits[kind], weights=given[kind]) for kind in (targets, ~targets)) / 2)


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
    """Compute a bootstrap percentile interval of `measure(scores, labels, weights=...)` by resampling speakers."""
    scores = np.asarray(scores, dtype=np.float64)
    if len(speakers) != len(scores):
        raise MeasurementError(
            f"{len(scores)} scores with {len(speakers)} pairs of speakers: one pair is needed for each trial."
        )
    weights = resampled_weights(labels, speakers, resamples=resamples, seed=seed)
    return interval_of(np.array([measure(scores, labels, weights=each) for each in weights]), level=level)


def resampled_weights(
    labels: npt.ArrayLike, speakers: npt.ArrayLike | Sequence[tuple[str, str]], *, resamples: int = 200, seed: int = 0
) -> Iterator[Floats]:
    """Yield the weights (trials,) of resamples of the speakers (trials, 2), with both kinds of trials in each.

    Trials of the same speakers are dependent, and resampling trials would give too narrow an interval. The weight of a
    trial is the product of the counts of its two speakers, or the count if both are the same.

    Raises MeasurementError: no resample has both kinds of trials.
    """
    names, indices = np.unique(np.asarray(speakers), return_inverse=True)
    first, second = indices.reshape(-1, 2).T
    generator = np.random.default_rng(seed)
    targets, found = np.asarray(labels).astype(bool), False
    for _ in range(resamples):
        counts = np.bincount(generator.integers(len(names), size=len(names)), minlength=len(names))
        weights = np.where(first == second, counts[first], counts[first] * counts[second])
        if weights[targets].any() and weights[~targets].any():  # with few speakers, one kind of trial may be missing
            found = True
            yield weights.astype(np.float64)
    if not found:
        raise MeasurementError(
            f"The trials are of {len(names)} speakers, of whom no draw has both pairs of one speaker and pairs of two. "
            "Take recordings of more speakers, several of each."
        )


def _checked_weights(weights: npt.ArrayLike | None, scores: Floats) -> Floats:
    """Return the weights of trials, by default 1. Raises MeasurementError."""
    given = np.ones(scores.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    if given.shape != scores.shape or not (np.isfinite(given) & (given >= 0)).all():
        raise MeasurementError(
            f"Weights of shape {given.shape} were given for {len(scores)} trials; expected one for each, finite and "
            "not negative."
        )
    return given


def _checked(scores: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[Floats, npt.NDArray[np.bool_]]:
    checked_scores, checked_labels = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if checked_scores.ndim != 1 or checked_scores.shape != checked_labels.shape:
        raise MeasurementError(
            f"Scores and labels are flat and of one length; their shapes are {checked_scores.shape} and "
            f"{checked_labels.shape}."
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
    return checked_scores, checked_labels.astype(bool)

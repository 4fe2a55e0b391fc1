"""Calibration of speaker embeddings: their normalization, the likelihood ratio of their cosines, and thresholds."""

from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sonant.decoding.voice_calibration import VoiceCalibration
from sonant.decoding.within_class import VoiceNormalization
from sonant.errors import ConfigurationError, MeasurementError
from sonant.evaluation.held_out import Floats, Numbers, pair_scores, part_scores
from sonant.evaluation.verification import detection_curve, eer

MOST_STEPS = 100
LEAST_NONTARGETS = 10  # pairs of two speakers above the highest threshold
LEAST_SPEAKERS = 30  # with two recordings or more, for a normalization
SHRINKAGES = (0.01, 0.03, 0.1, 0.3)  # of the covariance within speakers


class LikelihoodRatio(NamedTuple):
    """The log-likelihood ratio of a score: slope * score + offset."""

    slope: float
    offset: float


def likelihood_ratio(scores: npt.ArrayLike, labels: npt.ArrayLike) -> LikelihoodRatio:
    """Fit the log-likelihood ratio of scores (trials,) with labels (trials,), 1 for the same speaker.

    Logistic regression in which targets and non-targets have the same total weight, so that the logit is the
    log-likelihood ratio:

        minimize  mean over targets of log(1 + exp(-llr)) + mean over non-targets of log(1 + exp(llr))

    Each label is taken as wrong with probability 1 / (trials of its kind + 2), without which the slope of scores that
    separate the trials would be infinite.

    Raises:
        MeasurementError: as `detection_curve`; or higher scores do not mean the same speaker.

    Source: Brummer and du Preez, Computer Speech and Language 2006; Platt 1999 for the labels.
    """
    detection_curve(scores, labels)  # checks both
    values, targets = np.asarray(scores, dtype=np.float64), np.asarray(labels).astype(bool)
    counts = np.where(targets, targets.sum(), (~targets).sum())
    wanted = np.where(targets, 1 - 1 / (counts + 2), 1 / (counts + 2))
    center, scale = values.mean(), max(values.std(), 1e-12)
    rows = np.stack([(values - center) / scale, np.ones_like(values)])  # (2, trials)
    weights = np.zeros(2)
    for _ in range(MOST_STEPS):  # Newton's method on a convex function
        probabilities = 1 / (1 + np.exp(-np.clip(weights @ rows, -50, 50)))
        gradient = rows @ ((probabilities - wanted) / counts)
        curvature = (rows * (probabilities * (1 - probabilities) / counts)) @ rows.T
        step = np.linalg.solve(curvature + 1e-9 * np.eye(2), gradient)
        weights = weights - step * min(1.0, 2.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-10:
            break
    slope = float(weights[0] / scale)
    if not slope > 0:
        raise MeasurementError(
            "Recordings of one speaker are not more similar than recordings of two: nothing can be calibrated. Are the "
            "speakers' labels right?"
        )
    return LikelihoodRatio(slope, float(weights[1] - slope * center))


def calibrate_voices(
    vectors: npt.NDArray[np.floating],
    speakers: Sequence[str],
    *,
    parts: Sequence[npt.NDArray[np.floating] | None] | None = None,
    false_accept: float = 0.01,
    shrinkages: Sequence[float] = SHRINKAGES,
    data: str = "",
) -> VoiceCalibration:
    """Calibrate the scores of a model on recordings of known speakers, compared in all pairs.

    With 30 speakers or more, within-class covariance normalization is fitted to them, and kept if it lowers the equal
    error rate of pairs of speakers who were left out of its fit (see `sonant.evaluation.held_out`).

    Args:
        vectors: speaker embeddings (recordings, dim).
        speakers: of each recording.
        parts: of each recording, the vectors of its two most different parts (2, dim), or None; see
            `sonant.extraction.voice_samples`. Without any, recordings of several voices will not be noticed.
        false_accept: share of pairs of two speakers that reach the threshold, and of recordings below `least_unity`;
            half as many reach the threshold among two people, and so on, while at least ten pairs do.
        shrinkages: of the covariance within speakers, to choose from; none: no normalization.
        data: name of the data, for the sentence on its basis.

    Raises:
        ConfigurationError: `false_accept` is not between 0 and 1.
        MeasurementError: too few speakers or pairs, or vectors that do not tell speakers apart.
    """
    if not 0 < false_accept < 1:
        raise ConfigurationError(f"false_accept={false_accept} was given; it is a share strictly between 0 and 1.")
    given = np.asarray(vectors, dtype=np.float64)
    if given.ndim != 2 or len(given) != len(speakers) or not np.isfinite(given).all():
        raise MeasurementError(
            f"Vectors of shape {given.shape} were given with {len(speakers)} speakers; expected (recordings, dim), "
            "finite, and one speaker for each."
        )
    names, numbers = np.unique(np.asarray(speakers, dtype=str), return_inverse=True)
    first, second = np.triu_indices(len(given), 1)
    same = numbers[first] == numbers[second]
    if not same.any() or (~same).sum() * false_accept < 1:
        raise MeasurementError(
            f"{len(given)} recordings of {len(names)} speakers make {same.sum()} pairs of one speaker and "
            f"{(~same).sum()} of two. A threshold for {false_accept:g} of the latter takes at least "
            f"{1 / false_accept:.0f} of them, and some of the former: give more recordings."
        )
    shrinkage, scores = _best(given, numbers, same, shrinkages)
    ratio = likelihood_ratio(scores, same)
    curve = detection_curve(scores, same)
    doublings = int(np.log2(max((~same).sum() * false_accept / LEAST_NONTARGETS, 1)))
    rates = false_accept / 2.0 ** np.arange(doublings + 1)
    places = [int(np.argmax(curve.false_accept <= rate)) for rate in rates]
    at = places[0]
    held_out = "" if shrinkage is None else ", of whom those compared were left out of the normalization"
    return VoiceCalibration(
        thresholds=tuple(float(min(curve.thresholds[place], 1.0)) for place in places),
        basis=f"Set on {len(given)} recordings of {len(names)} speakers{f' ({data})' if data else ''}{held_out}: it "
        f"takes {100 * curve.false_accept[at]:.2g} % of the pairs of two speakers for one and misses "
        f"{100 * curve.false_reject[at]:.2g} % of those of one; equal error rate {100 * eer(scores, same):.2g} %.",
        slope=ratio.slope,
        offset=ratio.offset,
        least_unity=_least_unity(parts, given, numbers, shrinkage, false_accept),
        normalization=None if shrinkage is None else VoiceNormalization.fitted(given, numbers, shrinkage),
    )


def _best(
    vectors: Floats, speakers: Numbers, same: npt.NDArray[np.bool_], shrinkages: Sequence[float]
) -> tuple[float | None, Floats]:
    """Return the shrinkage with the least equal error rate on speakers left out of the fit, and the scores of pairs."""
    choices: list[float | None] = [None]
    if (np.bincount(speakers) > 1).sum() >= LEAST_SPEAKERS:
        choices += shrinkages
    found: list[tuple[float, float | None, Floats]] = []
    for shrinkage in choices:
        scores = pair_scores(vectors, speakers, shrinkage)
        found = [min([*found, (eer(scores, same), shrinkage, scores)], key=itemgetter(0))]
    return found[0][1:]


def _least_unity(
    parts: Sequence[npt.NDArray[np.floating] | None] | None,
    vectors: Floats,
    speakers: Numbers,
    shrinkage: float | None,
    false_accept: float,
) -> float | None:
    given = [None] * len(speakers) if parts is None else parts
    halves = [(pair, speaker) for pair, speaker in zip(given, speakers, strict=True) if pair is not None]
    if not halves:
        return None
    owners = np.array([speaker for _, speaker in halves])
    unities = part_scores(np.stack([pair for pair, _ in halves]), owners, vectors, speakers, shrinkage)
    return float(np.quantile(unities, false_accept))

"""Scores of verification trials, measured with intervals: EER, minDCF and Cllr."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sonant.errors import MeasurementError
from sonant.evaluation.calibration import likelihood_ratio
from sonant.evaluation.held_out import FOLDS
from sonant.evaluation.resampling import Floats, interval_of
from sonant.evaluation.verification import ScoredTrials, cllr, resampled_weights

TARGET_PRIORS = (0.01, 0.05)  # of NIST SRE 2016, and of VoxSRC
Speakers = Sequence[tuple[str, str]] | npt.NDArray[Any]  # (trials, 2)


def score_trials(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    speakers: Speakers | None = None,
    *,
    target_priors: Sequence[float] = TARGET_PRIORS,
    resamples: int = 200,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure scores (trials,) with labels (trials,), 1 or True for the same speaker.

    Args:
        speakers: of both recordings of each trial, which are resampled for the intervals; None: no intervals, and no
            Cllr.
        target_priors: of the detection costs, whose two costs are 1, as in `sonant.evaluation.min_dcf`.

    Returns:
        JSON values: `trials` and `targets`, their numbers; `eer`, `min_dcf_P` for each prior P, and `cllr`, each with
        `value`, and `low` and `high` of a 95 % interval, which are None without speakers. Cllr is that of
        `cross_calibrated` ratios; it is missing if there are too few speakers for them.

    Raises:
        MeasurementError: as `sonant.evaluation.detection_curve`; or another number of speakers.
    """
    trials = ScoredTrials(scores, labels)
    if speakers is not None and len(speakers) != len(trials.scores):
        raise MeasurementError(
            f"{len(trials.scores)} scores were given with {len(speakers)} pairs of speakers; expected one for each."
        )
    ratios = None if speakers is None else cross_calibrated(trials.scores, trials.targets, speakers)

    def measured(weights: Floats | None) -> dict[str, float]:
        curve = trials.curve(weights)
        costs = {f"min_dcf_{prior:g}": curve.min_dcf(prior) for prior in target_priors}
        cost = {} if ratios is None else {"cllr": cllr(ratios, trials.targets, weights=weights)}
        return {"eer": curve.eer(), **costs, **cost}

    found: dict[str, Any] = {"trials": len(trials.scores), "targets": int(trials.targets.sum())}
    drawn: list[dict[str, float]] = []
    if speakers is not None:
        drawn = [
            measured(weights) for weights in resampled_weights(trials.targets, speakers, resamples=resamples, seed=seed)
        ]
    for name, value in measured(None).items():
        low, high = interval_of(np.array([each[name] for each in drawn])) if drawn else (None, None)
        found[name] = {"value": value, "low": low, "high": high}
    return found


def cross_calibrated(scores: npt.ArrayLike, labels: npt.ArrayLike, speakers: Speakers) -> Floats | None:
    """Return log-likelihood ratios of scores (trials,), each calibrated on trials of other speakers.

    The speakers are divided into five folds. The ratio of a trial between folds i and j is that of
    `sonant.evaluation.likelihood_ratio` on the trials without speakers of both. None: such trials are not of both
    kinds, or do not tell speakers apart.
    """
    values, targets = np.asarray(scores, dtype=np.float64), np.asarray(labels).astype(bool)
    _, numbers = np.unique(np.asarray(speakers), return_inverse=True)
    folds = np.sort(numbers.reshape(-1, 2) % FOLDS, axis=1)
    ratios = np.empty_like(values)
    for pair in np.unique(folds, axis=0):
        others = ~np.isin(folds, pair).any(axis=1)
        here = (folds == pair).all(axis=1)
        try:
            ratio = likelihood_ratio(values[others], targets[others])
        except MeasurementError:
            return None
        ratios[here] = ratio.slope * values[here] + ratio.offset
    return ratios

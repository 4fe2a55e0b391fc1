"""Detection of spoken terms: the term-weighted value, and its maximum over all thresholds."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sonant.errors import ConfigurationError, MeasurementError
from sonant.evaluation.verification import ScoredTrials, detection_curve


def normalized_scores(distances: npt.ArrayLike) -> list[float]:
    """Map the distances of one query to all recordings to scores of mean 0 and deviation 1, higher for nearer ones.

    Source: SUPERB (arXiv 2105.01051), query by example; so that one threshold serves all queries.
    """
    values = np.asarray(distances, dtype=np.float64)
    scores: list[float] = ((values.mean() - values) / max(values.std(), 1e-9)).tolist()
    return scores


def max_term_weighted_value(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    terms: Sequence[str],
    *,
    target_prior: float = 0.0008,
    miss_cost: float = 100.0,
    false_alarm_cost: float = 1.0,
) -> float:
    """Compute the maximum term-weighted value (MTWV), 1 for perfect detection, 0 for that of nothing:

        MTWV = max over t of 1 - mean over terms of (P_miss(t) + weight * P_fa(t))
        weight = false_alarm_cost / miss_cost * (1 / target_prior - 1)

    with the rates of each term, so that rare terms count as much as frequent ones, and one threshold t for all. Terms
    that no recording has are left out. The defaults, with a weight of 12.49, are those of QUESST 2014.

    Args:
        scores: (trials,), higher where the term is more likely to be in the recording.
        labels: (trials,), 1 or True where it is.
        terms: of each trial.

    Raises:
        MeasurementError: shapes differ, scores are not finite, or no term is in a recording, or all are in all.
        ConfigurationError: costs or prior are out of range.

    Source: Fiscus et al., SIGIR 2007 workshop on searching spontaneous conversational speech; MediaEval QUESST 2014
    (Anguera et al., ICASSP 2015), whose trials are pairs of query and recording.
    """
    if not 0 < target_prior < 1 or miss_cost <= 0 or false_alarm_cost <= 0:
        raise ConfigurationError(
            f"target_prior={target_prior}, miss_cost={miss_cost} and false_alarm_cost={false_alarm_cost} were given; "
            "expected a probability between 0 and 1, and positive costs."
        )
    values, targets = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if not (values.ndim == targets.ndim == 1 and len(terms) == len(values) == len(targets)):
        raise MeasurementError(
            f"Scores of shape {values.shape}, labels of shape {targets.shape} and {len(terms)} terms were given; "
            "expected one each a trial."
        )
    ScoredTrials(values, targets)  # checks those of terms that are left out too
    _, numbers = np.unique(np.asarray(terms, dtype=str), return_inverse=True)
    present = np.bincount(numbers, weights=targets.astype(bool))  # (terms,)
    absent = np.bincount(numbers) - present
    used = (present > 0)[numbers]
    share = np.where(targets.astype(bool), present[numbers], absent[numbers])
    curve = detection_curve(values[used], targets[used], weights=1 / share[used])
    # The curve's rates are means over the terms that have such trials; a term in all recordings has no false alarm.
    alarmed = ((present > 0) & (absent > 0)).sum() / (present > 0).sum()
    weight = false_alarm_cost / miss_cost * (1 / target_prior - 1)
    return float((1 - curve.false_reject - weight * alarmed * curve.false_accept).max())

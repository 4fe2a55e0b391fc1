"""The maximum term-weighted value, worked out by hand and by trying all thresholds."""

import numpy as np
import pytest

from sonant.errors import ConfigurationError, MeasurementError
from sonant.evaluation.term_detection import max_term_weighted_value


def test_a_case_worked_out_by_hand() -> None:
    # Of term a, one of two is above one false alarm of two; term b is found; nothing has c, so that it does not count.
    terms = ["a"] * 4 + ["b"] * 2 + ["c"] * 2
    labels = [1, 1, 0, 0, 1, 0, 0, 0]
    scores = [0.9, 0.2, 0.5, 0.1, 0.8, 0.0, 1.0, 1.0]
    # At 0.8: misses 1/2 and 0, no false alarm: 1 - 1/4. At 0.2 with a weight of 1/8: 1 - (1/2 / 8) / 2.
    assert max_term_weighted_value(scores, labels, terms) == pytest.approx(0.75)
    low = {"target_prior": 0.5, "miss_cost": 8.0}
    assert max_term_weighted_value(scores, labels, terms, **low) == pytest.approx(1 - 1 / 32)


def test_it_is_the_best_of_all_thresholds() -> None:
    rng = np.random.default_rng(0)
    terms = rng.choice(["a", "b", "c"], 60)
    labels, scores = rng.random(60) < 0.3, np.round(rng.normal(size=60), 1)
    labels[terms == "c"] = True  # which has no false alarm
    values = []
    for threshold in [*scores, np.inf]:
        losses = []
        for term in "abc":
            mine, said = labels[terms == term], scores[terms == term] >= threshold
            losses.append((~said[mine]).mean() + 0.5 * (said[~mine].mean() if (~mine).any() else 0.0))
        values.append(1 - np.mean(losses))
    found = max_term_weighted_value(scores, labels, terms.tolist(), target_prior=2 / 3, miss_cost=1.0)
    assert found == pytest.approx(max(values))
    with pytest.raises(MeasurementError, match="one each a trial"):
        max_term_weighted_value([0.0], [1], ["a", "b"])
    with pytest.raises(MeasurementError, match="one each a trial"):
        max_term_weighted_value([[0.0, 1.0]], [[1, 0]], ["a"])
    with pytest.raises(MeasurementError, match="NaN"):
        max_term_weighted_value([0.0, 1.0, np.nan], [1, 0, 0], ["a", "a", "b"])
    with pytest.raises(ConfigurationError, match="target_prior=2"):
        max_term_weighted_value(scores, labels, terms.tolist(), target_prior=2)

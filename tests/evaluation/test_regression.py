"""Errors and correlations of numbers, by cases that can be worked out by hand."""

import numpy as np
import pytest

from sonant.errors import MeasurementError
from sonant.evaluation import score_numbers


def values(predicted: list[float], actual: list[float]) -> dict[str, float]:
    return {name: each["value"] for name, each in score_numbers(predicted, actual).items()}


@pytest.mark.parametrize(
    ("predicted", "actual", "mae", "pearson", "ccc"),
    [
        ([1, 2, 3], [1, 2, 3], 0, 1, 1),
        ([2, 3, 4], [1, 2, 3], 1, 1, 4 / 7),  # 2 * 2/3 / (2/3 + 2/3 + 1)
        ([2, 4, 6], [1, 2, 3], 2, 1, 4 / 11),  # covariance 4/3, variances 8/3 and 2/3, means 4 and 2
        ([3, 2, 1], [1, 2, 3], 4 / 3, -1, -1),
        ([2, 2, 2], [1, 2, 3], 2 / 3, 0, 0),
        ([5], [4], 1, 0, 0),
    ],
)
def test_by_hand(predicted: list[float], actual: list[float], mae: float, pearson: float, ccc: float) -> None:
    assert values(predicted, actual) == pytest.approx({"mae": mae, "pearson": pearson, "ccc": ccc})


def test_against_numpy_far_from_zero() -> None:
    rng = np.random.default_rng(0)
    actual = 1e6 + rng.normal(size=50)
    predicted = actual + rng.normal(size=50)
    scores = score_numbers(predicted, actual, groups=[str(each % 7) for each in range(50)])
    assert scores["pearson"]["value"] == pytest.approx(np.corrcoef(predicted, actual)[0, 1])
    assert all(each["low"] <= each["value"] <= each["high"] for each in scores.values())


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_correlations_do_not_depend_on_the_unit_and_pearson_not_on_the_means(unit: float) -> None:
    rng = np.random.default_rng(0)
    actual = rng.normal(size=50)
    predicted = actual + rng.normal(size=50)
    plain, scaled = score_numbers(predicted, actual), score_numbers(unit * predicted, unit * actual)
    for name, factor in (("mae", unit), ("pearson", 1), ("ccc", 1)):
        assert scaled[name] == pytest.approx({key: factor * value for key, value in plain[name].items()}, rel=1e-6)
    assert score_numbers(predicted + 1e7, actual)["pearson"] == pytest.approx(plain["pearson"], rel=1e-6)


@pytest.mark.parametrize(("predicted", "actual"), [([1], [1, 2]), ([], []), ([float("nan")], [1]), ([[1]], [[1]])])
def test_what_cannot_be_scored_is_refused(predicted: list[float], actual: list[float]) -> None:
    with pytest.raises(MeasurementError, match="one axis of the same length"):
        score_numbers(predicted, actual)

"""Scores of labels: known values, and intervals that hold what they promise."""

import numpy as np
import pytest

from sonant.errors import MeasurementError
from sonant.evaluation import average_precision, score_labels
from sonant.evaluation.label_scores import score_counts

NAMES = ("a", "b", "c")


def test_a_known_case_with_a_class_that_neither_occurs_nor_is_predicted() -> None:
    found = score_labels([0, 0, 1, 1], [0, 1, 1, 1], NAMES)
    assert found["recordings"] == 4
    assert found["accuracy"]["value"] == pytest.approx(3 / 4)
    assert found["macro_f1"]["value"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert found["confusion"] == {"labels": list(NAMES), "counts": [[1, 0, 0], [1, 2, 0], [0, 0, 0]]}


def test_intervals_are_those_of_a_binomial_and_wider_by_speaker() -> None:
    rng = np.random.default_rng(0)
    actual = rng.integers(0, 3, 600)
    wrong = np.repeat(rng.random(30) < 0.3, 20)  # whole speakers
    predicted = np.where(wrong, (actual + 1) % 3, actual)
    share = 1 - wrong.mean()
    alone = score_labels(predicted, actual, NAMES)["accuracy"]
    deviation = (share * (1 - share) / 600) ** 0.5
    assert alone["high"] - alone["low"] == pytest.approx(2 * 1.96 * deviation, rel=0.12)
    assert alone["low"] < alone["value"] < alone["high"]
    grouped = score_labels(predicted, actual, NAMES, groups=[str(number // 20) for number in range(600)])
    for name in ("accuracy", "macro_f1"):
        assert grouped[name]["value"] == pytest.approx(score_labels(predicted, actual, NAMES)[name]["value"])
        assert grouped[name]["high"] - grouped[name]["low"] > 0.2


@pytest.mark.parametrize(
    ("predicted", "actual", "why"),
    [
        ([-1], [0], "0 to 2"), ([3], [0], "0 to 2"), ([0], [0.5], "whole number"), (["a"], ["a"], "whole number"),
        ([[0]], [[0]], "whole number"), ([0, 1], [0], "2 predicted classes and 1 actual"), ([], [], "one recording"),
    ],
)  # fmt: skip
def test_labels_that_are_of_no_class_are_refused(predicted: list[int], actual: list[int], why: str) -> None:
    with pytest.raises(MeasurementError, match=why):
        score_labels(predicted, actual, NAMES)


def test_average_precision_by_hand() -> None:
    """The mean over the right ones of the precision down to them; equal scores count together."""
    scores = np.array([[0.9, 0.5, 0.1], [0.8, 0.5, 0.2], [0.7, 0.1, 0.3]])
    actual = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 0]])
    assert average_precision(scores, actual) == pytest.approx([(1 + 2 / 3) / 2, 1 / 2, np.nan], nan_ok=True)
    with pytest.raises(MeasurementError, match="of both"):
        average_precision(scores, actual[:2])


def test_counts_of_several_classes_at_once() -> None:
    counts = np.array([[1, 0, 2, 0, 1, 1], [2, 0, 2, 1, 3, 0]], dtype=float)  # correct, predicted, actual of a and b
    scores = score_counts(counts, ["a", "b"])
    assert scores["classes"]["a"] == pytest.approx({"precision": 3 / 4, "recall": 3 / 4, "f1": 3 / 4})
    assert scores["classes"]["b"] == {"precision": 0, "recall": 0, "f1": 0}
    assert scores["macro_f1"]["value"] == pytest.approx(3 / 8)

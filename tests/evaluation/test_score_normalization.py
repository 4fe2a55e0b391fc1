"""AS-norm against its definition, one trial after another."""

import numpy as np
import pytest

from sonant.errors import ConfigurationError, MeasurementError
from sonant.evaluation import as_norm, score_normalization, speaker_means

RNG = np.random.default_rng(0)
VECTORS, COHORT = RNG.normal(size=(7, 4)), RNG.normal(size=(9, 4))
PAIRS = np.array([[0, 1], [1, 0], [2, 6], [5, 5]])


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize("top", [3, 300])
def test_scores_are_those_by_definition(top: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_normalization, "MOST_AT_ONCE", 20)
    expected = []
    for first, second in PAIRS:
        score, normalized = cosine(VECTORS[first], VECTORS[second]), 0.0
        for side in (first, second):
            nearest = sorted((cosine(VECTORS[side], other) for other in COHORT), reverse=True)[:top]
            normalized += (score - np.mean(nearest)) / np.std(nearest) / 2
        expected.append(normalized)
    np.testing.assert_allclose(as_norm(VECTORS, PAIRS, COHORT, top=top), expected)
    np.testing.assert_allclose(as_norm(3 * VECTORS, PAIRS, 5 * COHORT, top=top), expected)


def test_a_speaker_of_the_cohort_is_the_mean_direction_of_the_recordings() -> None:
    found = speaker_means(np.array([[2.0, 0], [0, 3.0], [0, -1.0]]), ["b", "b", "a"])
    np.testing.assert_allclose(found, [[0, -1], [0.5**0.5, 0.5**0.5]])


def test_what_cannot_be_normalized_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="top=1"):
        as_norm(VECTORS, PAIRS, COHORT, top=1)
    with pytest.raises(MeasurementError, match="all alike"):
        as_norm(VECTORS, PAIRS, COHORT[:1])
    for wrong in ([[0, len(VECTORS)]], [[0, -1]]):
        with pytest.raises(MeasurementError, match="Pairs name recordings"):
            as_norm(VECTORS, wrong, COHORT)
    with pytest.raises(MeasurementError, match="zero or not finite"):
        as_norm(VECTORS * 0, PAIRS, COHORT)
    with pytest.raises(MeasurementError, match="expected"):
        as_norm(VECTORS, PAIRS, COHORT[:, :3])

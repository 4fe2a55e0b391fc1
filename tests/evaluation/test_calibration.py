"""Likelihood ratios of scores with a known answer, and thresholds that keep what they promise."""

import numpy as np
import pytest

from sonant.decoding.known_voices import unit_vectors
from sonant.errors import ConfigurationError, MeasurementError
from sonant.evaluation import calibrate_voices, likelihood_ratio

DRAW = np.random.default_rng(0)
LABELS = np.repeat([1, 0, 0], 20_000)
SCORES = np.where(LABELS == 1, 1.5, -0.5) + DRAW.normal(size=len(LABELS))


def people(*, speakers: int = 30, each: int = 6, dim: int = 12, spread: float = 0.4) -> tuple[np.ndarray, list[str]]:
    """Vectors about a direction per speaker."""
    draw = np.random.default_rng(1)
    names = [f"speaker {number}" for number in range(speakers) for _ in range(each)]
    directions = np.repeat(draw.normal(size=(speakers, dim)), each, axis=0)
    return directions + spread * draw.normal(size=(len(names), dim)), names


def test_the_ratio_of_two_normal_distributions_is_known() -> None:
    """log N(s; a, 1) - log N(s; b, 1) = (a - b) s - (a² - b²) / 2, however many there are of each."""
    slope, offset = likelihood_ratio(SCORES, LABELS)
    assert (slope, offset) == pytest.approx((2.0, -1.0), abs=0.05)


def test_a_scale_of_the_scores_changes_no_ratio() -> None:
    slope, offset = likelihood_ratio(SCORES, LABELS)
    other_slope, other_offset = likelihood_ratio(100 * SCORES + 7, LABELS)
    assert np.allclose(other_slope * (100 * SCORES + 7) + other_offset, slope * SCORES + offset)


def test_scores_that_separate_all_trials_have_a_finite_ratio() -> None:
    slope, offset = likelihood_ratio([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1])
    assert np.isfinite([slope, offset]).all()
    assert -offset / slope == pytest.approx(0.5)


def test_exchanged_labels_are_refused() -> None:
    with pytest.raises(MeasurementError, match="labels"):
        likelihood_ratio(SCORES, 1 - LABELS)


@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_the_threshold_is_the_least_that_accepts_so_few(rate: float) -> None:
    vectors, names = people()
    calibration = calibrate_voices(vectors, names, false_accept=rate)
    units = unit_vectors(vectors)
    first, second = np.triu_indices(len(units), 1)
    scores, same = (units @ units.T)[first, second], np.array(names)[first] == np.array(names)[second]
    assert (scores[~same] >= calibration.threshold).mean() <= rate
    assert (scores[~same] >= scores[scores < calibration.threshold].max()).mean() > rate
    for doublings, threshold in enumerate(calibration.thresholds):
        assert (scores[~same] >= threshold).mean() <= rate / 2**doublings
    assert len(calibration.thresholds) == 1 + int(np.log2(max((~same).sum() * rate / 10, 1)))
    assert f"{len(names)} recordings of 30 speakers" in calibration.basis


def test_unknown_voices_are_taken_for_one_of_many_no_more_often_than_for_one_of_two() -> None:
    """The threshold among N people keeps the share of unknown voices that are accepted."""
    vectors, names = people(speakers=300, each=2)
    calibration = calibrate_voices(vectors[:400], names[:400], false_accept=0.05)
    units = unit_vectors(vectors[400:])
    scores = units[100:] @ units[:100:2].T  # (probes, people), none of them enrolled
    shares = [(scores[:, :count].max(1) >= calibration.threshold_among(count)).mean() for count in (1, 8, 50)]
    assert max(shares) < 0.15
    assert (scores.max(1) >= calibration.threshold).mean() > 0.5  # as it would be without


def test_parts_of_one_voice_are_seldom_below_the_least_unity() -> None:
    vectors, names = people()
    parts = vectors.reshape(-1, 2, vectors.shape[1])  # neighbors are of one speaker
    calibration = calibrate_voices(vectors, names, parts=parts, false_accept=0.1)
    unity = unit_vectors(parts).prod(1).sum(-1)
    assert (unity < calibration.least_unity).mean() == pytest.approx(0.1, abs=0.02)
    assert calibrate_voices(vectors, names).least_unity is None


def test_too_little_data_is_refused() -> None:
    vectors, names = people(speakers=3, each=2)
    with pytest.raises(MeasurementError, match="more recordings"):
        calibrate_voices(vectors, names)
    with pytest.raises(MeasurementError, match="more recordings"):
        calibrate_voices(people(each=1)[0], people(each=1)[1])  # no pair of one speaker
    with pytest.raises(ConfigurationError):
        calibrate_voices(vectors, names, false_accept=0.0)
    with pytest.raises(MeasurementError, match="finite"):
        calibrate_voices(np.full_like(vectors, np.nan), names)

"""Likelihood ratios of scores with a known answer, and thresholds that keep what they promise."""

import json

import numpy as np
import pytest

from sonant.decoding.voice_calibration import VoiceCalibration, comparable
from sonant.decoding.within_class import VoiceNormalization, unit_vectors
from sonant.errors import ConfigurationError, MeasurementError
from sonant.evaluation import calibrate_voices, eer, likelihood_ratio
from sonant.evaluation.held_out import pair_scores, part_scores

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
    calibration = calibrate_voices(vectors, names, false_accept=rate, shrinkages=())
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
    calibration = calibrate_voices(vectors[:400], names[:400], false_accept=0.05, shrinkages=())
    units = unit_vectors(vectors[400:])
    scores = units[100:] @ units[:100:2].T  # (probes, people), none of them enrolled
    shares = [(scores[:, :count].max(1) >= calibration.threshold_among(count)).mean() for count in (1, 8, 50)]
    assert max(shares) < 0.15
    assert (scores.max(1) >= calibration.threshold).mean() > 0.5  # as it would be without


def test_parts_of_one_voice_are_seldom_below_the_least_unity() -> None:
    vectors, names = people()
    parts = np.stack([vectors, np.roll(vectors.reshape(30, 6, 12), 1, axis=1).reshape(-1, 12)], axis=1)
    calibration = calibrate_voices(vectors, names, parts=list(parts), false_accept=0.1, shrinkages=())
    unity = unit_vectors(parts).prod(1).sum(-1)
    assert (unity < calibration.least_unity).mean() == pytest.approx(0.1, abs=0.02)
    assert calibrate_voices(vectors, names).least_unity is None


def sessions(*, speakers: int, seed: int, dim: int = 12) -> tuple[np.ndarray, list[str]]:
    """Vectors far from zero, of speakers who differ in all directions, and most of all within themselves in three."""
    draw = np.random.default_rng(seed)
    vectors = np.repeat(draw.normal(size=(speakers, dim)), 6, axis=0) + 5.0
    scales = np.where(np.arange(dim) < 3, 4.0, 0.3)
    names = [f"{seed} {number}" for number in range(speakers) for _ in range(6)]
    return vectors + scales * draw.normal(size=vectors.shape), names


def errors(calibration: VoiceCalibration, vectors: np.ndarray, names: list[str]) -> tuple[float, float]:
    """Equal error rate, and share of the pairs of two speakers at the threshold."""
    units = comparable(vectors, calibration)
    first, second = np.triu_indices(len(units), 1)
    scores, same = (units @ units.T)[first, second], np.array(names)[first] == np.array(names)[second]
    return eer(scores, same), float((scores[~same] >= calibration.threshold).mean())


def test_normalization_helps_with_speakers_it_has_never_seen() -> None:
    calibration = calibrate_voices(*sessions(speakers=60, seed=1))
    plain = calibrate_voices(*sessions(speakers=60, seed=1), shrinkages=())
    assert plain.normalization is None
    (rate, accepted), (plain_rate, _) = (errors(each, *sessions(speakers=100, seed=2)) for each in (calibration, plain))
    assert rate < 0.2 * plain_rate
    assert accepted == pytest.approx(0.01, abs=0.01)
    assert "left out" in calibration.basis
    assert VoiceCalibration.from_data(json.loads(json.dumps(calibration.as_data()))) == calibration


def test_the_scores_behind_thresholds_are_of_speakers_left_out() -> None:
    """With fewer recordings than dimensions a normalization separates the speakers that it was fitted to."""
    vectors, numbers = np.random.default_rng(3).normal(size=(80, 200)), np.arange(80) // 2
    same = np.equal.outer(numbers, numbers)[np.triu_indices(80, 1)]
    fitted = unit_vectors(VoiceNormalization.fitted(vectors, numbers, 0.01)(vectors))
    assert eer((fitted @ fitted.T)[np.triu_indices(80, 1)], same) < 0.2
    assert eer(pair_scores(vectors, numbers, 0.01), same) == pytest.approx(0.5, abs=0.15)
    halves = part_scores(vectors.reshape(40, 2, 200), np.arange(40), vectors, numbers, 0.01)
    assert halves == pytest.approx(pair_scores(vectors, numbers, 0.01)[same], abs=0.2)


def test_few_speakers_get_no_normalization() -> None:
    assert calibrate_voices(*sessions(speakers=29, seed=1)).normalization is None


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

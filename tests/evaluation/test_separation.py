"""Ratios of sources to distortion, against cases worked out by hand and values of mir_eval."""

import numpy as np
import pytest

from sonant.errors import MeasurementError
from sonant.evaluation import sdr, separation_scores, si_sdr, si_sdr_improvement

ONE, OTHER = np.array([1.0, -1, 1, -1]), np.array([1.0, 1, -1, -1])  # orthogonal, without means


def test_si_sdr_of_a_source_and_a_tenth_of_something_orthogonal_is_20_db() -> None:
    assert si_sdr(ONE + 0.1 * OTHER, ONE) == pytest.approx(20)
    assert si_sdr(7 * ONE + 0.7 * OTHER + 3, ONE) == pytest.approx(20)  # neither scale nor mean count
    assert si_sdr(ONE + 3, ONE, zero_mean=False) == pytest.approx(10 * np.log10(1 / 9))
    assert si_sdr([-0.5 * ONE, OTHER, 0 * ONE], [ONE, ONE, ONE]).tolist() == [np.inf, -np.inf, -np.inf]


def test_improvement_is_over_the_mixture() -> None:
    assert si_sdr_improvement(ONE + 0.1 * OTHER, ONE, ONE + OTHER) == pytest.approx(20)


def test_sources_are_scored_in_the_order_that_fits() -> None:
    scores = separation_scores([OTHER, ONE + 0.1 * OTHER], [ONE, OTHER], ONE + 2 * OTHER)
    assert scores.order == (1, 0)
    assert scores.si_sdr == pytest.approx([20, np.inf])
    assert scores.improvement[0] == pytest.approx(20 + 20 * np.log10(2))


def test_sdr_allows_a_filter() -> None:
    rng = np.random.default_rng(0)
    reference, noise = rng.normal(size=(2, 4000))
    filtered = np.convolve(reference, [0.5, 0, -0.3])[:4000]
    assert si_sdr(filtered, reference) < 10
    assert sdr(filtered, reference, filter_length=3) > 30
    assert sdr([filtered + 0.1 * noise, noise], [reference, reference]).tolist() == pytest.approx(  # by mir_eval 0.8.2
        [15.747661502, -8.923228483], abs=1e-6
    )


@pytest.mark.parametrize(
    ("estimate", "reference", "why"),
    [
        (ONE, ONE[:3], "shape"),
        (ONE, 0 * ONE, "silent"),
        (ONE, 0 * ONE + 1, "constant"),
        (ONE * np.nan, ONE, "NaN"),
        ([], [], "shape"),
    ],
)
def test_what_cannot_be_compared_is_refused(estimate: list[float], reference: list[float], why: str) -> None:
    with pytest.raises(MeasurementError, match=why):
        si_sdr(estimate, reference)


def test_a_mixture_has_as_many_samples_as_its_sources() -> None:
    for mixture in (ONE[:-1], [ONE, ONE, ONE]):
        with pytest.raises(MeasurementError, match="mixture of shape"):
            separation_scores([OTHER, ONE], [ONE, OTHER], mixture)
        with pytest.raises(MeasurementError, match="mixture of shape"):
            si_sdr_improvement([OTHER, ONE], [ONE, OTHER], mixture)


def test_a_constant_estimate_is_silence_without_its_mean() -> None:
    reference = np.random.default_rng(0).normal(size=1000)
    assert si_sdr(np.full(1000, 0.1), reference) == -np.inf


def test_a_perfect_estimate_of_a_perfect_mixture_improves_nothing() -> None:
    assert si_sdr_improvement(ONE, ONE, ONE) == 0
    assert separation_scores([ONE], [ONE], ONE).improvement.tolist() == [0]
    assert si_sdr_improvement(ONE, ONE, OTHER) == np.inf


def test_a_filter_that_is_too_long_is_refused() -> None:
    with pytest.raises(MeasurementError, match="filter_length=512"):
        sdr(ONE, ONE)

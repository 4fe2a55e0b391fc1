"""Bootstrap intervals and paired comparisons: known rates, dependence within groups, exact tests by hand."""

from itertools import product

import numpy as np
import pytest

from sonant.errors import ConfigurationError, MeasurementError
from sonant.evaluation import bootstrap, bootstrap_interval, compare_paired


def test_interval_covers_a_known_rate():
    generator = np.random.default_rng(6)
    covered = 0
    for draw in range(100):
        low, high = bootstrap_interval(generator.random(200) < 0.8, seed=draw, resamples=300)
        covered += low <= 0.8 <= high
    assert 88 <= covered <= 99


def test_a_measured_ratio_is_the_sum_of_values_over_the_sum_of_weights():
    assert bootstrap.measured_ratio([1, 2], weights=[2, 10])["value"] == 3 / 12
    assert bootstrap.measured_ratio([1.0, 0.0, 0.0, 0.0], ["a", "a", "b", "b"]) == {
        "value": 0.25,
        "low": 0,
        "high": 0.5,
    }
    with pytest.raises(MeasurementError, match="not all zero"):
        bootstrap.measured_ratio([1, 1], weights=[0, 0])


def test_differences_on_the_same_clips_are_surer_than_two_intervals():
    generator = np.random.default_rng(9)
    easy = generator.random(300)
    first, second = (easy < 0.7).astype(float), (easy < 0.75).astype(float)
    low, high = bootstrap_interval(second - first)
    assert 0 < low < 0.05 < high
    assert bootstrap_interval(first)[1] > bootstrap_interval(second)[0], "apart, the two intervals overlap"


def test_groups_that_agree_widen_the_interval():
    correct = np.repeat(np.random.default_rng(7).random(40) < 0.7, 10)
    low, high = bootstrap_interval(correct)
    group_low, group_high = bootstrap_interval(correct, [f"speaker-{n // 10}" for n in range(400)])
    assert group_high - group_low > 2 * (high - low)


def test_a_ratio_weighs_clips_by_their_length():
    errors, words = np.array([1.0, 0, 9, 2]), np.array([10.0, 1, 30, 0])
    low, high = bootstrap_interval(errors, weights=words, resamples=2000)
    draws = np.array(list(product(range(4), repeat=4)))  # all resamples
    totals = words[draws].sum(axis=1)
    ratios = errors[draws].sum(axis=1)[totals > 0] / totals[totals > 0]
    assert (low, high) == pytest.approx(np.quantile(ratios, [0.025, 0.975]), rel=0.1)
    same = bootstrap_interval(errors, list("abcd"), weights=words, resamples=2000)
    assert same == (low, high), "a group of one clip is the clip"


def test_the_memory_of_draws_is_bounded(monkeypatch):
    values = np.random.default_rng(0).random(50)
    at_once = bootstrap_interval(values), compare_paired(values, values[::-1]).p_value
    monkeypatch.setattr(bootstrap, "MOST_DRAWS", 170)
    assert bootstrap_interval(values) == pytest.approx(at_once[0], rel=0.05)
    assert compare_paired(values, values[::-1]).p_value == pytest.approx(at_once[1], abs=0.02)


def test_few_groups_are_exchanged_in_every_way():
    first, second, words = np.array([5.0, 5, 5, 0]), np.array([3.0, 4, 6, 0]), np.array([10.0, 10, 10, 2])
    found = compare_paired(first, second, weights=words)
    assert found.difference == pytest.approx(-2 / 32)
    assert found.p_value == 6 / 8, "of -2, -1, 1 with any signs the sum is 2 or more in 6 of 8 cases"
    assert found.low <= found.difference <= found.high
    together = compare_paired(first, second, ["a", "a", "a", "b"], weights=words)
    assert (together.p_value, together.groups) == (1.0, 2), "one speaker alone shows nothing"


def test_a_difference_is_found_and_none_is_not():
    generator = np.random.default_rng(4)
    words = generator.integers(5, 30, size=300)
    first = generator.binomial(words, 0.2)
    better, equal = generator.binomial(first, 0.85), generator.binomial(words, 0.2)
    found = compare_paired(first, better, weights=words)
    assert found.high < 0
    assert found.p_value < 0.001
    assert found.probability_of_improvement == 1.0
    none = compare_paired(first, equal, weights=words)
    assert none.low < 0 < none.high
    assert none.p_value > 0.05
    same = compare_paired(first, first, weights=words)
    assert (same.difference, same.p_value, same.probability_of_improvement) == (0, 1.0, 0)


def test_p_values_are_uniform_without_a_difference():
    generator = np.random.default_rng(5)
    p_values = [
        compare_paired(*generator.random((2, 20)), resamples=10, permutations=200, seed=draw).p_value
        for draw in range(200)
    ]
    assert 0.02 <= np.mean(np.array(p_values) <= 0.1) <= 0.18


@pytest.mark.parametrize(
    ("arguments", "how", "message"),
    [
        (([1, 2],), {"weights": [1.0]}, "of one length"),
        (([1, 2],), {"groups": ["a"]}, "of one length"),
        (([1, 2],), {"weights": [0.0, 0.0]}, "not all zero"),
        (([1, 2],), {"weights": [1.0, -1.0]}, "not negative"),
        (([np.nan, 2],), {}, "finite"),
        (([],), {}, "0 values"),
    ],
)
def test_what_has_no_ratio_is_refused(arguments, how, message):
    with pytest.raises(MeasurementError, match=message):
        bootstrap_interval(*arguments, **how)


def test_resamples_and_levels_are_checked():
    with pytest.raises(ConfigurationError, match="resamples=0"):
        bootstrap_interval([1, 2], resamples=0)
    with pytest.raises(ConfigurationError, match="level=95"):
        bootstrap_interval([1, 2], level=95)


def test_systems_are_compared_on_the_same_clips():
    with pytest.raises(MeasurementError, match="two systems"):
        compare_paired([1, 2], [1, 2, 3])

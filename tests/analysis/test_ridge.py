"""Regression of numbers, against closed forms."""

import numpy as np
import pytest

from sonant.analysis.intervals import as_good_as, deleted_groups, estimate, with_and_without
from sonant.analysis.ridge import Numbered, ridge
from sonant.errors import MeasurementError

RANDOM = np.random.default_rng(0)


def part(rows, noise):
    features = RANDOM.normal(size=(rows, 4))
    target = 3 + features @ [1, -2, 0, 0.5] + noise * RANDOM.normal(size=rows)
    return Numbered(features, target, [str(number % 7) for number in range(rows)])


def test_a_linear_target_is_explained_and_noise_is_not():
    done = ridge(part(200, 0.0), part(50, 0.0), part(50, 0.0))
    assert done.r2.value == pytest.approx(1, abs=1e-3)
    features, target = RANDOM.normal(size=(300, 4)), RANDOM.normal(size=300)
    noise = Numbered(features, target, ["x"] * 150 + ["y"] * 150)
    assert ridge(part(200, 0.0), part(50, 0.0), noise).r2.value < 0.1


def test_the_share_of_noise_is_not_explained():
    done = ridge(part(2000, 1.0), part(500, 1.0), part(2000, 1.0))
    share = 5.25 / 6.25  # variance of the signal, 1 + 4 + 0.25, and of all
    assert done.r2.value == pytest.approx(share, abs=0.03)
    assert done.r2.low < done.r2.value < done.r2.high


def test_targets_that_do_not_vary_are_refused():
    flat = Numbered(np.ones((5, 2)), np.ones(5), ["a"] * 5)
    with pytest.raises(MeasurementError, match="differ"):
        ridge(flat, flat, flat)


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = RANDOM.normal(size=40)
    left = deleted_groups(list(map(str, range(40))), groups=40)
    found = estimate(with_and_without(lambda rows: values[rows].mean(), 40, left))
    error = values.std(ddof=1) / np.sqrt(40)
    assert found.high - found.value == pytest.approx(1.96 * error)


def test_layers_within_the_interval_of_the_difference_are_as_good():
    noise = RANDOM.normal(size=11) * 0.01
    values = np.stack([0.5 + noise, 0.5 + noise + 0.001, 0.1 + noise])
    values[0, 1:] += RANDOM.normal(size=10) * 0.01
    assert as_good_as(1, values) == (0, 1)

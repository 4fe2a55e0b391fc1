"""CKA and CCA against their definitions, written out another way."""

import numpy as np
import pytest
from scipy.linalg import eigh

from sonant.analysis.similarity import fit_cca, linear_cka, one_hot, pwcca
from sonant.errors import MeasurementError

RANDOM = np.random.default_rng(0)


def hsic_of_kernels(k, l):
    """Song et al. 2012, equation 5, with kernel matrices."""
    n = len(k)
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))
    ones = np.ones(n)
    middle = (ones @ k @ ones) * (ones @ l @ ones) / ((n - 1) * (n - 2))
    return (np.trace(k @ l) + middle - 2 / (n - 2) * (ones @ k @ l @ ones)) / (n * (n - 3))


def test_debiased_cka_is_that_of_the_kernel_matrices():
    x, y = RANDOM.normal(size=(30, 5)) + 3, RANDOM.normal(size=(30, 7)) - 2
    y[:, :3] += x[:, :3]
    xk, yk = x @ x.T, y @ y.T
    expected = hsic_of_kernels(xk, yk) / np.sqrt(hsic_of_kernels(xk, xk) * hsic_of_kernels(yk, yk))
    assert linear_cka(x, y) == pytest.approx(expected, rel=1e-9)


def test_biased_cka_is_that_of_centered_kernels():
    x, y = RANDOM.normal(size=(30, 5)), RANDOM.normal(size=(30, 7))
    center = np.eye(30) - 1 / 30
    xk, yk = center @ x @ x.T @ center, center @ y @ y.T @ center
    expected = (xk * yk).sum() / np.sqrt((xk * xk).sum() * (yk * yk).sum())
    assert linear_cka(x, y, debiased=False) == pytest.approx(expected)


def test_cka_of_independent_rows_is_near_zero_only_without_bias():
    x, y = RANDOM.normal(size=(60, 200)), RANDOM.normal(size=(60, 200))
    assert abs(linear_cka(x, y)) < 0.1
    assert linear_cka(x, y, debiased=False) > 0.6


def test_cka_does_not_change_with_rotation_and_scale():
    x = RANDOM.normal(size=(40, 6))
    rotation = np.linalg.qr(RANDOM.normal(size=(6, 6)))[0]
    assert linear_cka(x, 5 * x @ rotation + 1) == pytest.approx(1)


def test_canonical_correlations_are_those_of_the_eigenvalue_problem():
    """rho^2 are the eigenvalues of Cxx^-1 Cxy Cyy^-1 Cyx (Hotelling 1936)."""
    x, y = RANDOM.normal(size=(200, 4)), RANDOM.normal(size=(200, 3))
    y[:, 0] += x[:, 0]
    full = np.cov(np.hstack([x, y]).T)
    xx, xy, yy = full[:4, :4], full[:4, 4:], full[4:, 4:]
    squares = eigh(xy @ np.linalg.solve(yy, xy.T), xx, eigvals_only=True)[::-1][:3]
    found = fit_cca(x, y)
    np.testing.assert_allclose(found.correlations, np.sqrt(squares), atol=1e-8)
    # and the weights are those of the definition, by the variates of x
    variates = (x - x.mean(0)) @ found.x
    weights = np.abs(variates.T @ (x - x.mean(0))).sum(1)
    assert pwcca(x, y) == pytest.approx((weights * found.correlations).sum() / weights.sum())


def test_pwcca_of_a_linear_map_is_one_and_of_noise_on_held_out_rows_near_zero():
    x = RANDOM.normal(size=(100, 5))
    assert pwcca(x, x @ RANDOM.normal(size=(5, 5))) == pytest.approx(1)
    noise = RANDOM.normal(size=(400, 20))
    fitted = fit_cca(x, noise[:100])
    assert pwcca(x, noise[:100]) > 0.3
    assert abs(fitted.weighted_correlation(RANDOM.normal(size=(300, 5)), noise[100:])) < 0.1


def test_pwcca_of_one_column_is_the_correlation():
    x = RANDOM.normal(size=(50, 1))
    y = x + RANDOM.normal(size=(50, 1))
    assert pwcca(x, y) == pytest.approx(np.corrcoef(x[:, 0], y[:, 0])[0, 1])


def test_constant_columns_and_labels_are_no_trouble():
    labels = np.array(["a", "b", "c"] * 20)
    x = np.hstack([one_hot(labels), np.full((60, 1), 5.0)])
    assert pwcca(x, one_hot(labels)) == pytest.approx(1)


def test_too_few_rows_are_refused():
    with pytest.raises(MeasurementError, match="more recordings"):
        fit_cca(np.zeros((5, 3)), np.zeros((5, 3)))
    with pytest.raises(MeasurementError, match="does not vary"):
        linear_cka(np.ones((8, 3)), RANDOM.normal(size=(8, 3)))

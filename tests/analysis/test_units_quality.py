"""Purity and PNMI of units, on cases worked out by hand."""

import numpy as np
import pytest

from sonant.analysis.units_quality import joint_counts, unit_quality


def test_a_case_by_hand():
    #        unit 0  1  2
    counts = [[3, 1, 0],  # phone 0
              [0, 2, 2]]  # phone 1  # fmt: skip
    quality = unit_quality(np.array(counts, dtype=float))
    assert quality.phone_purity == pytest.approx((3 + 2 + 2) / 8)
    assert quality.cluster_purity == pytest.approx((3 + 2) / 8)
    # H(y) = log 2; H(y | z) = 3/8 * H(1/3), as units 0 and 2 leave no doubt
    third = -(1 / 3 * np.log(1 / 3) + 2 / 3 * np.log(2 / 3))
    assert quality.pnmi == pytest.approx(1 - 3 / 8 * third / np.log(2))


def test_perfect_and_useless_units():
    perfect, useless = unit_quality(np.stack([np.diag([2.0, 3.0, 5.0]), np.outer([2, 3, 5], [1, 1, 2])])).pnmi
    assert perfect == pytest.approx(1)
    assert useless == pytest.approx(0, abs=1e-12)


def test_pnmi_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    phones = random.integers(6, size=500)
    units = (phones + random.integers(3, size=500)) % 9
    quality = unit_quality(joint_counts(phones, units, (6, 9)))
    share = np.bincount(phones) / 500
    assert quality.pnmi == pytest.approx(metrics.mutual_info_score(phones, units) / -(share * np.log(share)).sum())

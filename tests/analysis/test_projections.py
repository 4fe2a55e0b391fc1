"""Projections to the plane."""

import sys

import numpy as np
import pytest

from sonant.analysis.projections import pca, tsne
from sonant.errors import MissingExtra

RANDOM = np.random.default_rng(0)


def test_pca_is_that_of_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    rows = RANDOM.normal(size=(30, 6)) @ RANDOM.normal(size=(6, 6))
    theirs = decomposition.PCA(2)
    expected = theirs.fit_transform(rows)
    found = pca(rows)
    np.testing.assert_allclose(np.abs(found.points), np.abs(expected), atol=1e-9)
    np.testing.assert_allclose(found.explained, theirs.explained_variance_ratio_)


def test_signs_are_fixed_and_missing_components_zero():
    rows = RANDOM.normal(size=(10, 1))
    found = pca(rows)
    assert found.points[np.abs(found.points[:, 0]).argmax(), 0] > 0
    assert (found.points[:, 1] == 0).all()
    np.testing.assert_allclose(found.explained, [1, 0])


def test_tsne_keeps_groups_apart():
    pytest.importorskip("sklearn")
    centers = np.repeat([0.0, 10.0], 20)[:, None]
    points = tsne(RANDOM.normal(size=(40, 5)) + centers)
    one, other = points[:20], points[20:]
    assert np.linalg.norm(one.mean(0) - other.mean(0)) > 2 * max(one.std(), other.std()) / 2
    np.testing.assert_array_equal(tsne(np.eye(12)), tsne(np.eye(12)))


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    with pytest.raises(MissingExtra, match="eval"):
        tsne(np.eye(12))

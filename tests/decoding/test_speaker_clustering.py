"""Voices joined until few are left."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import AgglomerativeClustering

from sonant.decoding.speaker_clustering import MOST_JOINED, average_linkage, cluster, without_content
from sonant.errors import ConfigurationError


def voices(*sizes: int, dim: int = 20, spread: float = 0.1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors about so many directions, shuffled, and which direction each is about."""
    draw = np.random.default_rng(seed)
    speaker = draw.permutation(np.repeat(np.arange(len(sizes)), sizes))
    centers = np.linalg.qr(draw.normal(size=(dim, dim)))[0][: len(sizes)]
    return centers[speaker] + spread * draw.normal(size=(len(speaker), dim)), speaker


def same_groups(a: np.ndarray, b: np.ndarray) -> bool:
    return len(set(zip(a.tolist(), b.tolist(), strict=True))) == len(set(a.tolist())) == len(set(b.tolist()))


@pytest.mark.parametrize("how", [{"num_speakers": 3}, {"threshold": 0.5}])
def test_distinct_voices_are_found(how: dict[str, float]) -> None:
    vectors, speaker = voices(5, 30, 12)
    found = cluster(vectors, **how)
    assert same_groups(found, speaker)
    _, first = np.unique(found, return_index=True)
    assert (np.diff(first) > 0).all()  # numbered as they come


def test_more_than_are_joined_are_given_to_the_nearest() -> None:
    vectors, speaker = voices(MOST_JOINED // 2, MOST_JOINED, dim=8)
    assert same_groups(cluster(vectors, num_speakers=2), speaker)


@given(st.integers(2, 25), st.integers(0, 2**16))
def test_linkage_is_that_of_scikit_learn(total: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(total, 4))
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    joins = average_linkage(units @ units.T)
    reference = AgglomerativeClustering(n_clusters=1, metric="cosine", linkage="average", compute_distances=True).fit(
        vectors
    )
    np.testing.assert_allclose([join[2] for join in joins], 1 - np.sort(reference.distances_), atol=1e-9)


def test_what_changes_between_neighbors_counts_little() -> None:
    """Two voices along one axis, much larger changes along another: only after these are freed do the voices show."""
    draw = np.random.default_rng(0)
    speaker = np.repeat([0, 1], 40)
    vectors = 0.1 * draw.normal(size=(80, 30))
    vectors[:, 0] += speaker
    vectors[:, 1] += 3 * draw.normal(size=80)
    assert not same_groups(cluster(vectors - vectors.mean(0), num_speakers=2), speaker)
    freed = without_content(vectors, np.diff(vectors, axis=0))
    assert same_groups(cluster(freed, num_speakers=2), speaker)


def test_edges() -> None:
    assert len(cluster(np.zeros((0, 3)), num_speakers=2)) == 0
    assert cluster(np.ones((1, 3)), num_speakers=2).tolist() == [0]
    assert cluster(np.zeros((3, 3)), num_speakers=1).tolist() == [0, 0, 0]
    with pytest.raises(ConfigurationError, match="Neither num_speakers nor a threshold"):
        cluster(np.ones((2, 3)))
    with pytest.raises(ConfigurationError, match="at least 1"):
        cluster(np.ones((2, 3)), num_speakers=0)

"""Voices joined until few are left."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import AgglomerativeClustering

from sonant.decoding.speaker_clustering import MOST_JOINED, _agglomerate, cluster, normalize_within_class
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


@given(st.integers(2, 25), st.integers(1, 25), st.integers(0, 2**16))
def test_clusters_are_those_of_scikit_learn(total: int, number: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(total, 4))
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = _agglomerate(units @ units.T, number, None)
    reference = AgglomerativeClustering(min(number, total), metric="cosine", linkage="average", compute_distances=True)
    assert same_groups(found, reference.fit(vectors).labels_)
    if number < total:  # a threshold just below the last join asks for the same clusters
        last = 1 - np.sort(reference.distances_)[total - number - 1]
        assert same_groups(_agglomerate(units @ units.T, None, last - 1e-9), found)


@pytest.mark.parametrize("number", [1, 2, 5])
def test_vectors_that_are_all_alike_make_as_many_clusters_as_are_wanted(number: int) -> None:
    assert len(set(_agglomerate(np.ones((5, 5)), number, None).tolist())) == number


def test_what_changes_between_neighbors_counts_little() -> None:
    """Two voices along one axis, much larger changes along another: only after these are freed do the voices show."""
    draw = np.random.default_rng(0)
    speaker = np.repeat([0, 1], 40)
    vectors = 0.1 * draw.normal(size=(80, 30))
    vectors[:, 0] += speaker
    vectors[:, 1] += 3 * draw.normal(size=80)
    assert not same_groups(cluster(vectors - vectors.mean(0), num_speakers=2), speaker)
    freed = normalize_within_class(vectors, np.diff(vectors, axis=0))
    assert same_groups(cluster(freed, num_speakers=2), speaker)


def test_edges() -> None:
    assert len(cluster(np.zeros((0, 3)), num_speakers=2)) == 0
    assert cluster(np.ones((1, 3)), num_speakers=2).tolist() == [0]
    assert cluster(np.zeros((3, 3)), num_speakers=1).tolist() == [0, 0, 0]
    with pytest.raises(ConfigurationError, match="Neither num_speakers nor a threshold"):
        cluster(np.ones((2, 3)))
    with pytest.raises(ConfigurationError, match="at least 1"):
        cluster(np.ones((2, 3)), num_speakers=0)

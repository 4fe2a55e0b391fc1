"""Agglomerative clustering of speaker embeddings, and within-class covariance normalization before it."""

from numbers import Real

import numpy as np
from numpy.typing import NDArray

from sonant.decoding.within_class import whitening
from sonant.errors import ConfigurationError

Vectors = NDArray[np.float64]

MOST_JOINED = 2000  # vectors; of more, evenly chosen ones are clustered and the others follow the nearest mean
SHRINKAGE = 0.2


def check_clustering(num_speakers: object, threshold: object) -> None:
    """Raise ConfigurationError for an invalid number of speakers or cosine threshold."""
    is_count = isinstance(num_speakers, int) and not isinstance(num_speakers, bool) and num_speakers >= 1
    if num_speakers is not None and not is_count:
        raise ConfigurationError(f"num_speakers={num_speakers!r} was given; expected at least 1, in whole numbers.")
    if threshold is not None:
        check_cosine(threshold)


def check_cosine(threshold: object) -> None:
    """Raise ConfigurationError for a threshold that is not a number from -1 to 1."""
    if isinstance(threshold, bool) or not isinstance(threshold, Real) or not -1 <= float(threshold) <= 1:
        raise ConfigurationError(f"threshold={threshold!r} was given; it is a cosine, a number from -1 to 1.")


def cluster(vectors: Vectors, *, num_speakers: int | None = None, threshold: float | None = None) -> NDArray[np.int64]:
    """The number of the speaker of each embedding (vectors, dim), counted from 0 in the order of first appearance.

    Agglomerative clustering by average cosine similarity; then each embedding goes to the cluster whose mean is
    nearest, until nothing changes.

    Args:
        num_speakers: the number of clusters; fewer if there are fewer embeddings.
        threshold: where that is not given, the average cosine below which two clusters are two speakers.
    """
    if num_speakers is None and threshold is None:
        raise ConfigurationError("Neither num_speakers nor a threshold was given; one of them says when to stop.")
    check_clustering(num_speakers, threshold)
    if not len(vectors):
        return np.zeros(0, dtype=np.int64)
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    chosen = units[:: -(-len(units) // MOST_JOINED)]
    joined = _agglomerate(chosen @ chosen.T, num_speakers, threshold)
    means = np.stack([chosen[joined == label].mean(0) for label in range(joined.max() + 1)])
    return _in_order(_reassign(units, means))


def _agglomerate(similarity: Vectors, num_speakers: int | None, threshold: float | None) -> NDArray[np.int64]:
    """The cluster of each vector, numbered from 0, by average linkage of their similarity (vectors, vectors)."""
    from scipy.cluster.hierarchy import linkage

    total = len(similarity)
    joins = np.zeros((0, 4)) if total < 2 else linkage(1 - similarity[np.triu_indices(total, 1)], "average")
    if num_speakers is not None:
        wanted = max(0, total - num_speakers)
    else:
        assert threshold is not None
        wanted = int(np.sum(1 - joins[:, 2] >= threshold))
    labels = np.arange(total)
    for number, join in enumerate(joins[:wanted], start=total):  # `fcluster` makes too few clusters of equal distances
        labels[np.isin(labels, join[:2])] = number
    return np.unique(labels, return_inverse=True)[1]


def _reassign(units: Vectors, means: Vectors) -> NDArray[np.int64]:
    """Assign each vector to the nearest mean and recompute the means, until nothing changes."""
    labels = np.argmax(units @ means.T, axis=1)
    for _ in range(20):
        present = np.unique(labels)
        means = np.stack([units[labels == label].mean(0) for label in present])
        moved = np.argmax(units @ means.T, axis=1)
        if np.array_equal(present[moved], labels):
            break
        labels = moved
    return labels


def _in_order(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Renumber labels from 0 in order of first appearance."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank: NDArray[np.int64] = np.argsort(np.argsort(first))
    return rank[inverse]


def normalize_within_class(vectors: Vectors, differences: Vectors) -> Vectors:
    """Within-class covariance normalization without labels: (vectors, dim) centered and whitened.

    Neighboring vectors are mostly of one speaker, so that the covariance of their `differences` (pairs, dim) is taken
    for that within a class: directions in which content varies become short.
    """
    whitened: Vectors = (vectors - vectors.mean(0)) @ whitening(differences, SHRINKAGE)
    return whitened

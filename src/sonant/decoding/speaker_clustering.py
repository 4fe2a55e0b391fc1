"""Clustering of the stretches of a recording by voice: the nearest of their vectors are joined until few are left."""

from numbers import Real

import numpy as np
from numpy.typing import NDArray

from sonant.errors import ConfigurationError

Vectors = NDArray[np.float64]

MOST_JOINED = 2000  # vectors; of more, evenly chosen ones are joined and the others follow the nearest
SHRINKAGE = 0.2


def check_clustering(num_speakers: object, threshold: object) -> None:
    """Raise ConfigurationError for a number of speakers, or a cosine, that cannot be."""
    is_count = isinstance(num_speakers, int) and not isinstance(num_speakers, bool) and num_speakers >= 1
    if num_speakers is not None and not is_count:
        raise ConfigurationError(f"num_speakers={num_speakers!r} was given; expected at least 1, in whole numbers.")
    if threshold is not None:
        check_cosine(threshold)


def check_cosine(threshold: object) -> None:
    """Raise ConfigurationError for a threshold that no cosine can be compared with."""
    if isinstance(threshold, bool) or not isinstance(threshold, Real) or not -1 <= float(threshold) <= 1:
        raise ConfigurationError(f"threshold={threshold!r} was given; it is a cosine, a number from -1 to 1.")


def cluster(vectors: Vectors, *, num_speakers: int | None = None, threshold: float | None = None) -> NDArray[np.int64]:
    """The number of the speaker of each vector (vectors, dim), counted from 0 in the order of their first vectors.

    Vectors are joined by average cosine, and then each is given to the speaker whose mean is nearest, until nothing
    changes.

    Args:
        num_speakers: how many to end with; fewer if there are fewer vectors.
        threshold: where that is not given, the average cosine below which two groups are two speakers.
    """
    if num_speakers is None and threshold is None:
        raise ConfigurationError("Neither num_speakers nor a threshold was given; one of them says when to stop.")
    check_clustering(num_speakers, threshold)
    if not len(vectors):
        return np.zeros(0, dtype=np.int64)
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    chosen = units[:: -(-len(units) // MOST_JOINED)]
    joined = _cut(average_linkage(chosen @ chosen.T), len(chosen), num_speakers, threshold)
    means = np.stack([chosen[joined == label].mean(0) for label in range(joined.max() + 1)])
    return _in_order(_settled(units, means))


def average_linkage(similarity: Vectors) -> list[tuple[int, int, float]]:
    """The joins that make one group of all, by average similarity (vectors, vectors), the most alike first.

    A join names a member of each of the two groups, and how alike they are. Found by chains of nearest neighbors in
    O(vectors^2), since average linkage never makes a join more alike than the ones it consists of.

    Source: Murtagh, Computational Statistics Quarterly 1 (1984).
    """
    table = similarity.astype(np.float64, copy=True)
    np.fill_diagonal(table, -np.inf)
    sizes = np.ones(len(table))
    alive = np.ones(len(table), dtype=bool)
    joins: list[tuple[int, int, float]] = []
    chain: list[int] = []
    while len(joins) < len(table) - 1:
        if not chain:
            chain = [int(np.argmax(alive))]
        last = chain[-1]
        nearest = int(np.argmax(table[last]))
        if len(chain) > 1 and table[last, chain[-2]] >= table[last, nearest]:
            nearest = chain[-2]
            joins.append((last, nearest, float(table[last, nearest])))
            row = (sizes[last] * table[last] + sizes[nearest] * table[nearest]) / (sizes[last] + sizes[nearest])
            table[nearest], table[:, nearest] = row, row
            table[nearest, nearest] = -np.inf
            table[last], table[:, last] = -np.inf, -np.inf
            sizes[nearest] += sizes[last]
            alive[last] = False
            chain = chain[:-2]
        else:
            chain.append(nearest)
    return sorted(joins, key=lambda join: -join[2])


def _cut(
    joins: list[tuple[int, int, float]], total: int, num_speakers: int | None, threshold: float | None
) -> NDArray[np.int64]:
    """The group of each vector after all joins that are wanted."""
    if num_speakers is not None:
        wanted = joins[: max(0, total - num_speakers)]
    else:
        wanted = [join for join in joins if threshold is not None and join[2] >= threshold]
    group = np.arange(total)
    for one, other, _ in wanted:
        group[group == group[one]] = group[other]
    return np.unique(group, return_inverse=True)[1]


def _settled(units: Vectors, means: Vectors) -> NDArray[np.int64]:
    """The nearest mean of each vector, the means taken anew until that changes nothing."""
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
    """Numbers counted from 0 in the order in which they appear."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank: NDArray[np.int64] = np.argsort(np.argsort(first))
    return rank[inverse]


def without_content(vectors: Vectors, differences: Vectors) -> Vectors:
    """Vectors (vectors, dim) about their mean, along the directions in which neighbors differ made short.

    What changes from one moment to the next is what is said, not who says it: `differences` (pairs, dim) of vectors
    close to each other, which mostly are of one speaker, show these directions without any label. Their covariance is
    drawn towards a multiple of the identity, as there may be fewer pairs than dimensions.

    Source: within-class covariance normalization (Hatch et al., Interspeech 2006), with neighbors for classes.
    """
    covariance = differences.T @ differences / max(1, len(differences))
    mean_variance = np.trace(covariance) / len(covariance)
    values, directions = np.linalg.eigh(covariance + SHRINKAGE * max(mean_variance, 1e-12) * np.eye(len(covariance)))
    whitened: Vectors = (vectors - vectors.mean(0)) @ (directions / np.sqrt(values))
    return whitened

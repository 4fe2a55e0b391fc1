"""Projections of vectors to the plane, by principal components and by t-SNE."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sonant.errors import MissingExtra

Floats = npt.NDArray[np.floating]
Points = npt.NDArray[np.float64]
PCA_DIM = 50  # that t-SNE gets, as its author advises
LEAST_POINTS = 10  # for t-SNE


class Principal(NamedTuple):
    """Principal components.

    Attributes:
        points: (rows, components).
        explained: share of the variance along each of them, falling.
    """

    points: Points
    explained: Points


def pca(rows: Floats, components: int = 2) -> Principal:
    """Project rows (rows, dim) to their principal components.

    The sign of each is chosen so that its largest coordinate is positive, which makes the result repeatable.
    """
    centered = np.asarray(rows, dtype=np.float64)
    centered = centered - centered.mean(axis=0)
    left, lengths, _ = np.linalg.svd(centered, full_matrices=False)
    points = (left * lengths)[:, :components]
    largest = points[np.abs(points).argmax(axis=0), np.arange(points.shape[1])]
    points = points * np.where(largest < 0, -1, 1)
    total = np.square(lengths).sum()
    shares = np.square(lengths)[:components] / total if total > 0 else np.zeros(components)
    missing = components - points.shape[1]
    return Principal(np.pad(points, ((0, 0), (0, missing))), np.pad(shares, (0, components - len(shares))))


def tsne(rows: Floats, *, perplexity: float = 30.0, seed: int = 0) -> Points:
    """Project rows (rows, dim), standardized, to two dimensions by t-SNE, from their first principal components.

    Perplexity is at most a third of the number of rows. Distances between groups, and sizes of groups, mean nothing.

    Raises MissingExtra without scikit-learn.
    """
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise MissingExtra("scikit-learn", extra="eval", purpose="t-SNE") from error
    spread = rows.std(axis=0, dtype=np.float64)
    scaled = (rows - rows.mean(axis=0, dtype=np.float64)) / np.where(spread > 0, spread, 1)
    reduced = pca(scaled, min(PCA_DIM, *rows.shape)).points
    found = TSNE(
        perplexity=min(perplexity, max(2.0, (len(rows) - 1) / 3)), init="pca", random_state=seed, learning_rate="auto"
    ).fit_transform(reduced)
    return np.asarray(found, dtype=np.float64)

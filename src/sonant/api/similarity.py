"""Cosines between vectors or encoded recordings."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sonant.errors import ConfigurationError
from sonant.extraction.pooling import Pool, pooled_dim
from sonant.extraction.sources import is_many

Vectors = NDArray[np.float32]


def vectors_of(given: Any, dim: int, pool: Pool, encode: Callable[[list[Any]], Sequence[Tensor | None]]) -> Vectors:
    """Return vectors as they are, or encode recordings: (dim,) or (vectors, dim).

    Args:
        dim: width of the model's vectors; those of "mean+std" have twice the width.
        pool: pooling of encoded recordings.
        encode: maps recordings to vectors, or to None, which becomes NaN.
    """
    if isinstance(given, np.ndarray | Tensor):
        vectors = np.asarray(given.detach().cpu() if isinstance(given, Tensor) else given)
        if vectors.ndim not in (1, 2) or vectors.shape[-1] not in (dim, 2 * dim):
            raise ConfigurationError(
                f"An array of shape {vectors.shape} was given to compare; this model's vectors have {dim} "
                f'numbers, {2 * dim} with "mean+std". Samples go in as {{"array": ..., "sampling_rate": ...}}.'
            )
        return vectors
    several = is_many(given)
    items = list(given) if several else [given]
    if items and all(isinstance(item, np.ndarray | Tensor) for item in items):
        return np.stack([vectors_of(item, dim, pool, encode) for item in items])
    vectors = np.full((len(items), pooled_dim(dim, pool)), np.nan, np.float32)
    for row, vector in zip(vectors, encode(items), strict=True):
        if vector is not None:
            row[:] = vector.numpy()
    return vectors if several else vectors[0]


def num_vectors(vectors: Vectors) -> int:
    """Return the number of vectors in (dim,) or (vectors, dim)."""
    return 1 if vectors.ndim == 1 else len(vectors)


def cosines(left: Vectors, right: Vectors) -> float | Vectors:
    """Return cosines: a float for two single vectors, else an array (left, right) without axes of single ones."""
    if left.shape[-1] != right.shape[-1]:
        raise ConfigurationError(
            f"Vectors of {left.shape[-1]} and of {right.shape[-1]} numbers cannot be compared; encode both alike."
        )
    cosine = _unit(left) @ _unit(right).T
    return float(cosine) if cosine.ndim == 0 else cosine


def _unit(vectors: Vectors) -> Vectors:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)

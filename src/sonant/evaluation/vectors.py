"""Standardization of vectors of recordings, and their comparison by cosine."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from sonant.errors import MeasurementError
from sonant.evaluation.verification import eer

Array = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Standardizer:
    """Standardization of each dimension by training features; constant dimensions become zero."""

    mean: Array  # (dim,)
    scale: Array  # (dim,), factor of centered features

    @classmethod
    def fit(cls, features: Array, *, scale: bool = True) -> Self:
        """Fit to `features` (clips, dim); `scale=False` only centers."""
        mean = features.mean(axis=0, dtype=np.float64)
        if not scale:
            return cls(mean=mean, scale=np.ones_like(mean))
        deviation = features.std(axis=0, dtype=np.float64)
        varies = deviation > 1e-6 * (np.abs(mean) + 1e-12)  # below that, rounding
        return cls(mean=mean, scale=np.where(varies, 1 / np.where(varies, deviation, 1), 0))

    def __call__(self, features: Array) -> Array:
        return ((features - self.mean) * self.scale).astype(np.float32)


def cosine_scores(features: Array, pairs: npt.ArrayLike, *, standardizer: Standardizer | None = None) -> Array:
    """Compute the cosine of each pair of clips (trials,), from features (clips, dim) and clip numbers (trials, 2).

    `standardizer`, fitted on other speakers, is applied first; otherwise the common mean of all clips moves cosines
    towards 1. Raises MeasurementError for a clip whose vector is zero.
    """
    rows = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    if rows.size and (rows.min() < 0 or rows.max() >= len(features)):
        raise MeasurementError(f"Pairs name clips {rows.min()} to {rows.max()}, but there are {len(features)}.")
    vectors = np.asarray(features if standardizer is None else standardizer(features), dtype=np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (norms > 0).all():
        raise MeasurementError(f"Clip {int(np.argmin(norms))} has a zero or NaN vector, which has no direction.")
    unit = vectors / norms
    return np.einsum("td,td->t", unit[rows[:, 0]], unit[rows[:, 1]])


def speaker_pairs(speakers: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return all pairs of clips (trials, 2), and whether their speakers (clips,) are the same (trials,)."""
    names = np.asarray(speakers)
    pairs = np.stack(np.triu_indices(len(names), 1), axis=1)
    return pairs, names[pairs[:, 0]] == names[pairs[:, 1]]


def speaker_eer(features: Array, speakers: Sequence[str], *, standardizer: Standardizer | None = None) -> float:
    """Compute the equal error rate of cosines over all pairs of clips, features (clips, dim)."""
    pairs, labels = speaker_pairs(speakers)
    return eer(cosine_scores(features, pairs, standardizer=standardizer), labels)

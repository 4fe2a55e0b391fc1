"""Within-class covariance normalization: directions in which the vectors of one class differ become short.

Source: Hatch et al., Interspeech 2006.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sonant.errors import ConfigurationError

Vectors = NDArray[np.float64]


def whitening(differences: NDArray[np.floating], shrinkage: float) -> Vectors:
    """Return the matrix W (dim, dim) for which the rows of `differences @ W` have the identity as covariance.

    The covariance of the differences (rows, dim), whose mean is taken as zero, is shrunk before, as there may be fewer
    rows than dimensions: `shrinkage` times its mean variance is added to its diagonal.
    """
    covariance = differences.T @ differences / max(1, len(differences))
    mean_variance = max(np.trace(covariance) / len(covariance), 1e-12)
    values, directions = np.linalg.eigh(covariance + shrinkage * mean_variance * np.eye(len(covariance)))
    matrix: Vectors = directions / np.sqrt(values)
    return matrix


def unit_vectors(vectors: NDArray[np.floating]) -> Vectors:
    """Return vectors (..., dim) scaled to length one."""
    given = np.asarray(vectors, dtype=np.float64)
    units: Vectors = given / np.maximum(np.linalg.norm(given, axis=-1, keepdims=True), 1e-12)
    return units


@dataclass(frozen=True, eq=False)
class VoiceNormalization:
    """Centering of speaker embeddings, and whitening by their covariance within speakers, up to a scale.

    Attributes:
        mean: subtracted first, float32 (dim,).
        matrix: multiplied then, float16 (dim, dim).
    """

    mean: NDArray[np.float32]
    matrix: NDArray[np.float16]

    def __post_init__(self) -> None:
        dim = self.mean.size
        if not dim or self.mean.shape != (dim,) or self.matrix.shape != (dim, dim):
            raise ConfigurationError(
                f"A normalization has a mean of shape {self.mean.shape} and a matrix of shape {self.matrix.shape}; "
                "expected (dim,) and (dim, dim). Make the calibration again."
            )
        if not np.isfinite(self.mean).all() or not np.isfinite(self.matrix).all() or not self.matrix.any():
            raise ConfigurationError("A normalization is zero or not finite; make the calibration again.")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VoiceNormalization) and self.as_data() == other.as_data()

    def __hash__(self) -> int:
        return hash(self.matrix.tobytes())

    def __call__(self, vectors: NDArray[np.floating]) -> Vectors:
        """Return normalized vectors (..., dim)."""
        if vectors.shape[-1] != self.mean.size:
            raise ConfigurationError(
                f"Vectors of {vectors.shape[-1]} numbers were given to a calibration for {self.mean.size}; it belongs "
                "to another model."
            )
        centered = np.asarray(vectors, dtype=np.float64) - self.mean
        normalized: Vectors = centered @ self.matrix.astype(np.float64)
        return normalized

    @classmethod
    def fitted(cls, vectors: NDArray[np.floating], classes: NDArray[np.int64], shrinkage: float) -> Self:
        """Fit to vectors (rows, dim) and the class of each, by a number."""
        given = np.asarray(vectors, dtype=np.float64)
        _, numbers, counts = np.unique(classes, return_inverse=True, return_counts=True)
        sums = np.zeros((len(counts), given.shape[1]))
        np.add.at(sums, numbers, given)
        matrix = whitening(given - (sums / counts[:, None])[numbers], shrinkage)
        return cls(given.mean(0).astype(np.float32), (matrix / np.abs(matrix).max()).astype(np.float16))

    def as_data(self) -> dict[str, str]:
        """Return the numbers as base64 of little-endian float32 and float16."""
        return {
            "mean": b64encode(self.mean.astype("<f4").tobytes()).decode(),
            "matrix": b64encode(self.matrix.astype("<f2").tobytes()).decode(),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Make a normalization from `as_data`. Raises ConfigurationError: something else was given."""
        try:
            mean = np.frombuffer(b64decode(data["mean"], validate=True), "<f4").astype(np.float32)
            matrix = np.frombuffer(b64decode(data["matrix"], validate=True), "<f2").astype(np.float16)
            return cls(mean, matrix.reshape(len(mean), -1))
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise ConfigurationError(
                f"The normalization of a calibration cannot be read: {error}. Make the calibration again: sonant "
                "voices calibrate."
            ) from error

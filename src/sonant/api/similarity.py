"""Cosines between vectors, or between recordings, of which vectors are made first."""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from sonant.decoding.results import Verification
from sonant.errors import ConfigurationError
from sonant.extraction.sources import is_many

VERIFICATION_THRESHOLD = 0.86  # for wavlm-base-plus-sv, says its card


def vectors_of(given: Any, dim: int, encode: Callable[[Any], Any]) -> np.ndarray:
    """Return given vectors as they are, or those of given recordings: (dim,) or (vectors, dim).

    Args:
        dim: the width of the model's vectors; "mean+std" has twice as many numbers.
        encode: maps one recording or a list of them to vectors.
    """
    if isinstance(given, np.ndarray | Tensor):
        vectors = np.asarray(given.detach().cpu() if isinstance(given, Tensor) else given)
        if vectors.ndim not in (1, 2) or vectors.shape[-1] not in (dim, 2 * dim):
            raise ConfigurationError(
                f"An array of shape {vectors.shape} was given to compare; this model's vectors have {dim} "
                f'numbers, {2 * dim} with "mean+std". Samples go in as {{"array": ..., "sampling_rate": ...}}.'
            )
        return vectors
    if is_many(given):
        items = list(given)
        if all(isinstance(item, np.ndarray | Tensor) for item in items):
            return np.stack([vectors_of(item, dim, encode) for item in items])
        return np.stack(encode(items))
    return np.asarray(encode(given))


def cosines(left: np.ndarray, right: np.ndarray) -> Any:
    """Return the cosines: a float for one and one; else a row for each of `left` and a column for each of `right`."""
    if left.shape[-1] != right.shape[-1]:
        raise ConfigurationError(
            f"Vectors of {left.shape[-1]} and of {right.shape[-1]} numbers cannot be compared; encode both alike."
        )
    cosine = _unit(left) @ _unit(right).T
    return float(cosine) if cosine.ndim == 0 else cosine


def compare_voices(a: np.ndarray, b: np.ndarray, *, threshold: float = VERIFICATION_THRESHOLD) -> Verification:
    """Return whether two vectors (dim,) of `SpeechEncoder.speaker_vectors` are of one voice."""
    return Verification(float(np.clip(cosines(a, b), -1.0, 1.0)), threshold)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)

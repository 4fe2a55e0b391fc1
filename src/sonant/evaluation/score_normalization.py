"""Normalization of verification scores by those of a cohort of other speakers."""

import numpy as np
import numpy.typing as npt

from sonant.decoding.within_class import unit_vectors
from sonant.errors import ConfigurationError, MeasurementError
from sonant.evaluation.resampling import Floats

MOST_AT_ONCE = 2**22  # scores with the cohort


def as_norm(vectors: npt.ArrayLike, pairs: npt.ArrayLike, cohort: npt.ArrayLike, *, top: int = 300) -> Floats:
    """Compute normalized cosines of pairs of recordings, by adaptive symmetric score normalization (AS-norm):

        ((s - m_a) / d_a + (s - m_b) / d_b) / 2

    s is the cosine of the pair a, b; m and d are mean and standard deviation (of the population) of the cosines of each
    of the two with the speakers of the cohort that are most similar to it.

    Args:
        vectors: speaker embeddings (recordings, dim).
        pairs: numbers of recordings (trials, 2).
        cohort: vectors of other speakers (speakers, dim), such as `speaker_means`.
        top: number of the most similar speakers of the cohort; all of them, if there are fewer.

    Raises:
        ConfigurationError: top is less than 2.
        MeasurementError: shapes that do not fit, vectors that are zero or not finite, or a cohort without a spread.

    Source: Matejka et al., Interspeech 2017, "Analysis of score normalization in multilingual speaker recognition".
    """
    given, others = np.asarray(vectors, dtype=np.float64), np.asarray(cohort, dtype=np.float64)
    numbers = np.asarray(pairs, dtype=np.int64)
    if top < 2:
        raise ConfigurationError(f"top={top} was given; a standard deviation takes 2 speakers of the cohort or more.")
    if given.ndim != 2 or others.ndim != 2 or given.shape[1] != others.shape[1] or numbers.shape[1:] != (2,):
        raise MeasurementError(
            f"Vectors {given.shape}, pairs {numbers.shape} and a cohort {others.shape} were given; expected "
            "(recordings, dim), (trials, 2) and (speakers, dim)."
        )
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < len(given):
        raise MeasurementError(
            f"Pairs name recordings {numbers.min()} to {numbers.max()}; expected numbers from 0, of {len(given)} "
            "vectors."
        )
    for each in (given, others):
        if not np.isfinite(each).all() or not each.any(axis=1).all():
            raise MeasurementError("A speaker embedding is zero or not finite, and has no cosine.")
    unit, other = unit_vectors(given), unit_vectors(others)
    used = np.unique(numbers)
    means, deviations = np.zeros(len(given)), np.ones(len(given))
    at_once = max(1, MOST_AT_ONCE // len(other))
    for start in range(0, len(used), at_once):
        rows = used[start : start + at_once]
        highest = np.sort(unit[rows] @ other.T, axis=1)[:, -top:]
        means[rows], deviations[rows] = highest.mean(1), highest.std(1)
    if len(other) < 2 or not (deviations[used] > 1e-12).all():
        raise MeasurementError(
            f"The cosines with the {len(other)} of the cohort are all alike, so that nothing can be normalized by "
            "them. Give more speakers."
        )
    first, second = numbers.T
    cosines = np.einsum("td,td->t", unit[first], unit[second])
    return np.asarray(sum((cosines - means[side]) / deviations[side] for side in (first, second)) / 2)


def speaker_means(vectors: npt.ArrayLike, speakers: npt.ArrayLike) -> Floats:
    """Return the mean direction of each speaker's vectors (speakers, dim), of length one, in the order of their names.

    Args:
        vectors: (recordings, dim).
        speakers: name of the speaker of each recording.
    """
    names, numbers = np.unique(np.asarray(speakers, dtype=str), return_inverse=True)
    sums = np.zeros((len(names), np.shape(vectors)[1]))
    np.add.at(sums, numbers, unit_vectors(np.asarray(vectors, dtype=np.float64)))
    return unit_vectors(sums)

"""Scores of pairs of recordings whose speakers were left out when the normalization was fitted.

The speakers are divided into folds. Two recordings, of folds i and j, are compared after the normalization that was
fitted to the speakers of all other folds, so that every pair is scored as one of new speakers would be.
"""

import numpy as np
import numpy.typing as npt

from sonant.decoding.within_class import VoiceNormalization, unit_vectors

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

FOLDS = 5


def pair_scores(vectors: Floats, speakers: Numbers, shrinkage: float | None) -> Floats:
    """Return the scores of all pairs of vectors (recordings, dim), in the order of `np.triu_indices(recordings, 1)`.

    Args:
        speakers: number of the speaker of each recording, from 0.
        shrinkage: of the normalization; None: cosines without one.
    """
    pairs = np.triu_indices(len(vectors), 1)
    if shrinkage is None:
        units = unit_vectors(vectors)
        return np.asarray((units @ units.T)[pairs])
    folds = speakers % FOLDS
    scores = np.empty((len(vectors), len(vectors)))
    for first in range(FOLDS):
        for second in range(first, FOLDS):
            one, other = np.flatnonzero(folds == first), np.flatnonzero(folds == second)
            normalization = _without(vectors, speakers, (first, second), shrinkage)
            found = unit_vectors(normalization(vectors[one])) @ unit_vectors(normalization(vectors[other])).T
            scores[np.ix_(one, other)], scores[np.ix_(other, one)] = found, found.T
    return np.asarray(scores[pairs])


def part_scores(parts: Floats, owners: Numbers, vectors: Floats, speakers: Numbers, shrinkage: float | None) -> Floats:
    """Return the scores of the two parts of recordings (recordings, 2, dim), whose speakers are the `owners`."""
    if shrinkage is None:
        units = unit_vectors(parts)
    else:
        units = np.empty(parts.shape)
        for fold in range(FOLDS):
            chosen = owners % FOLDS == fold
            units[chosen] = unit_vectors(_without(vectors, speakers, (fold,), shrinkage)(parts[chosen]))
    return np.asarray((units[:, 0] * units[:, 1]).sum(-1))


def _without(vectors: Floats, speakers: Numbers, folds: tuple[int, ...], shrinkage: float) -> VoiceNormalization:
    kept = ~np.isin(speakers % FOLDS, folds)
    return VoiceNormalization.fitted(vectors[kept], speakers[kept], shrinkage)

"""vq-wav2vec with online k-means: as `vq_wav2vec_gumbel`, with the other quantiser and its two losses."""

from dataclasses import replace

from sonant.models.vq_wav2vec import KMEANS
from sonant.recipes import vq_wav2vec_gumbel
from sonant.recipes.pretraining import PretrainingRun


def recipe() -> PretrainingRun:
    """One stage of future contrast on quantised frames."""
    return replace(vq_wav2vec_gumbel.recipe(), name="vq_wav2vec_kmeans", model=KMEANS)

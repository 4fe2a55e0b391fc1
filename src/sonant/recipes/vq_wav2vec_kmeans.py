"""vq-wav2vec with the k-means quantizer; otherwise `vq_wav2vec_gumbel`.

Source: a note in fairseq's `examples/wav2vec/README.md`. The published checkpoint names no activation, which then meant
ReLU; set model.activation=relu for its network.
"""

from dataclasses import replace

from sonant.models.vq_wav2vec import GUMBEL
from sonant.recipes import vq_wav2vec_gumbel
from sonant.training.runs import PretrainingRun


def recipe() -> PretrainingRun:
    """One stage of CPC on quantized frames."""
    return replace(vq_wav2vec_gumbel.recipe(), name="vq_wav2vec_kmeans", model=replace(GUMBEL, quantizer="kmeans"))

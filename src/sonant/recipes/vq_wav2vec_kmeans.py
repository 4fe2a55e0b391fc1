"""vq-wav2vec with online k-means: as `vq_wav2vec_gumbel`, with the other quantizer and its two losses.

So says the note beside the command of fairseq's `examples/wav2vec/README.md`. The published file differs: it names no
activation, which meant ReLU then; set model.activation=relu for its network.
"""

from dataclasses import replace

from sonant.models.vq_wav2vec import GUMBEL
from sonant.recipes import vq_wav2vec_gumbel
from sonant.training.runs import PretrainingRun


def recipe() -> PretrainingRun:
    """One stage of CPC on quantized frames."""
    return replace(vq_wav2vec_gumbel.recipe(), name="vq_wav2vec_kmeans", model=replace(GUMBEL, quantizer="kmeans"))

"""vq-wav2vec with the k-means quantizer; otherwise `vq_wav2vec_gumbel`."""

from dataclasses import replace

from sonant.models.vq_wav2vec import GUMBEL
from sonant.recipes import vq_wav2vec_gumbel
from sonant.recipes.sources import SettingSource
from sonant.training.runs import PretrainingRun

SOURCES = vq_wav2vec_gumbel.SOURCES | {
    "model.quantizer": SettingSource("released", "fairseq, examples/wav2vec/README.md, the note on k-means"),
    "model.activation": SettingSource(
        "released",
        vq_wav2vec_gumbel.COMMAND,
        "the released checkpoint names none, which then meant ReLU",
        ("model.activation=relu",),
    ),
}


def recipe() -> PretrainingRun:
    """One stage of CPC on quantized frames."""
    return replace(vq_wav2vec_gumbel.recipe(), name="vq_wav2vec_kmeans", model=replace(GUMBEL, quantizer="kmeans"))

"""Small vq-wav2vec with the k-means quantizer; three quarters of an hour on one CPU core."""

from dataclasses import replace

from sonant.models.vq_wav2vec import TINY
from sonant.pretraining import CPCConfig
from sonant.recipes import tiny, wav2vec_tiny
from sonant.training.runs import PretrainingRun

SOURCES = tiny.SOURCES


def recipe() -> PretrainingRun:
    """CPC without the quantizer, then with one whose codebook is initialized with frames.

    From fresh weights, short runs collapsed to one code in each codebook, as did longer ones in fairseq (issue 1850).
    """
    base = wav2vec_tiny.recipe()
    (stage,) = base.stages
    return replace(
        base,
        name="vq_wav2vec_tiny",
        model=TINY,
        stages=(
            replace(stage, name="frames", objective=CPCConfig(quantized=False)),
            replace(
                stage,
                name="codes",
                start="previous",
                objective=CPCConfig(codes_from_frames=True),
                training=replace(stage.training, steps=1_800),
            ),
        ),
    )

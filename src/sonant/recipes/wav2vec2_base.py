"""wav2vec 2.0 Base as published: 400,000 updates on the 960 hours of LibriSpeech.

Source: arXiv 2006.11477, section 4.2, and fairseq's `wav2vec2_base_librispeech.yaml`, which agree. On one device a step
is `grad_accumulation` batches, so that an update sees what 64 devices saw (1.6 hours).
"""

from sonant.models import Wav2Vec2Config
from sonant.pretraining import Batching, MaskedContrastConfig
from sonant.training import Training
from sonant.training.runs import PretrainingRun, Stage

UNCLIPPED = 1e9  # fairseq's configurations of wav2vec 2.0 leave clip_norm at 0, which turns clipping off


def recipe() -> PretrainingRun:
    """One stage of masked contrast; every setting of the objective is its default."""
    return PretrainingRun(
        name="wav2vec2_base",
        model=Wav2Vec2Config(),
        stages=(
            Stage(
                name="contrast",
                objective=MaskedContrastConfig(),
                batching=Batching(batch_seconds=87.5, max_seconds=15.625, min_seconds=2.0, fill="shortest"),
                training=Training(
                    steps=400_000, lr=5e-4, clip_norm=UNCLIPPED, grad_accumulation=64, precision="bfloat16"
                ),
            ),
        ),
    )

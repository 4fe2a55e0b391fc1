"""wav2vec 2.0 Base, for 960 hours of LibriSpeech.

Source: arXiv 2006.11477, section 4.2, and fairseq's `wav2vec2_base_librispeech.yaml`, which agree: 64 devices in a
step, here `grad_accumulation` batches (1.6 hours).
"""

from sonant.models import Wav2Vec2Config
from sonant.pretraining import Batching, MaskedContrastConfig
from sonant.training import Training
from sonant.training.runs import PretrainingRun, Stage

UNCLIPPED = 1e9  # clip_norm is 0 in fairseq's configurations of wav2vec 2.0, which disables clipping


def recipe() -> PretrainingRun:
    """One stage of masked contrast, 400,000 steps."""
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

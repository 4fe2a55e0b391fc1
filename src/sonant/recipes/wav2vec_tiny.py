"""A small wav2vec that one CPU core pretrains in half an hour."""

from sonant.models.wav2vec import TINY
from sonant.pretraining import Batching, FutureContrastConfig
from sonant.recipes.pretraining import PretrainingRun, Stage
from sonant.training import Cosine, Training

STEPS = 3_000


def recipe() -> PretrainingRun:
    """The published objective, unchanged; a gentler rate, and a longer warm-up, for a short run on small batches."""
    return PretrainingRun(
        name="wav2vec_tiny",
        model=TINY,
        stages=(
            Stage(
                name="contrast",
                objective=FutureContrastConfig(),
                batching=Batching(batch_seconds=16.0, max_seconds=6.0, min_seconds=1.0),
                training=Training(
                    steps=STEPS,
                    peak_rate=1e-3,
                    schedule=Cosine(warmup=0.05),
                    clip_norm=1.0,
                    precision="bfloat16",
                    log_every=50,
                    save_every=250,
                ),
            ),
        ),
    )

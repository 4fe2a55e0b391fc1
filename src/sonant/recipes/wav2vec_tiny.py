"""Small wav2vec; half an hour on one CPU core."""

from sonant.models.wav2vec import TINY
from sonant.pretraining import CPCConfig
from sonant.recipes import tiny
from sonant.training import Cosine
from sonant.training.runs import PretrainingRun, Stage

SOURCES = tiny.SOURCES


def recipe() -> PretrainingRun:
    """Published objective with a lower lr and longer warm-up, for a short run on small batches."""
    return PretrainingRun(
        name="wav2vec_tiny",
        model=TINY,
        stages=(
            Stage(
                name="contrast",
                objective=CPCConfig(),
                batching=tiny.BATCHING,
                training=tiny.training(3_000, schedule=Cosine(warmup=0.05), save_every=250),
            ),
        ),
    )

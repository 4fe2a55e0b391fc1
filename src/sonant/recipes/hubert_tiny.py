"""Small HuBERT: `wavlm_tiny` with fewer steps and without mixing; half an hour on one CPU core."""

from dataclasses import replace

from sonant.audio.augment import Mixing
from sonant.models.hubert import TINY
from sonant.recipes import tiny, wavlm_tiny
from sonant.training.runs import PretrainingRun

SOURCES = tiny.SOURCES


def recipe() -> PretrainingRun:
    """Clusters of MFCC, then of layer 5 of the first stage; 1,000 steps each."""
    wavlm = wavlm_tiny.recipe()
    stages = tuple(
        replace(
            stage,
            mixing=Mixing(probability=0.0),
            training=replace(stage.training, steps=1_000, save_every=250),
        )
        for stage in wavlm.stages
    )
    return replace(wavlm, name="hubert_tiny", model=TINY, stages=stages)

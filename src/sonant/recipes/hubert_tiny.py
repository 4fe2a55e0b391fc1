"""A small HuBERT that one CPU core pretrains in half an hour: the settings of sonant/wavlm-tiny, shorter, unmixed."""

from dataclasses import replace

from sonant.audio.augment import Mixing
from sonant.models.hubert import TINY
from sonant.recipes import wavlm_tiny
from sonant.training.runs import PretrainingRun


def recipe() -> PretrainingRun:
    """MFCC clusters, then clusters of the model's own fifth layer: 1,000 steps each."""
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

"""XLSR-53: wav2vec 2.0 Large on 56,000 hours of 53 languages (arXiv 2006.13979).

Source: its authors name fairseq's settings for Libri-Light with a lower lr (fairseq issue 2997); lr and steps are those
quoted in fairseq issue 3526, which we assume belong to this run. The authors also repeat recordings of languages with
little data; do that in the manifest.
"""

from dataclasses import replace

from sonant.models.wav2vec2 import XLS_R_300M
from sonant.recipes import wav2vec2_large_lv60
from sonant.training import Linear
from sonant.training.runs import PretrainingRun


def recipe() -> PretrainingRun:
    """Large (LV-60) without feature dropout, with another lr, for a million steps."""
    large = wav2vec2_large_lv60.recipe()
    (stage,) = large.stages
    longer = replace(
        stage,
        objective=replace(wav2vec2_large_lv60.OBJECTIVE, feature_dropout=0.0),
        training=replace(stage.training, steps=1_000_000, lr=1e-3, schedule=Linear(warmup=0.032)),
    )
    return replace(large, name="xlsr_53", model=XLS_R_300M, stages=(longer,))

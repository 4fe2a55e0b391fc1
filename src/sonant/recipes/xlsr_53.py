"""XLSR-53: wav2vec 2.0 Large on 56,000 hours of 53 languages (arXiv 2006.13979).

Its authors name fairseq's setting for Libri-Light with a lower learning rate (fairseq issue 2997). Rate and updates
here are those of arguments quoted in fairseq issue 3526; that they belong to this run is inferred.

What the recipe does not do: the authors give small languages more weight, by listing their recordings several times.
Do the same in the manifest.
"""

from dataclasses import replace

from sonant.models.wav2vec2 import XLS_R_300M
from sonant.recipes import wav2vec2_large_lv60
from sonant.training import Linear
from sonant.training.runs import PretrainingRun


def recipe() -> PretrainingRun:
    """The run of Large (LV-60) without any dropout, at another rate and for a million updates."""
    large = wav2vec2_large_lv60.recipe()
    (stage,) = large.stages
    longer = replace(
        stage,
        objective=replace(wav2vec2_large_lv60.OBJECTIVE, feature_dropout=0.0),
        training=replace(stage.training, steps=1_000_000, lr=1e-3, schedule=Linear(warmup=0.032)),
    )
    return replace(large, name="xlsr_53", model=XLS_R_300M, stages=(longer,))

"""WavLM Base+: Base for 94,000 hours, with noise in the mixing, and targets of a second-iteration model.

Steps (700,000) and noise probability (0.1) are the paper's; no released code has them.
"""

from dataclasses import replace

from sonant.audio.augment import Mixing
from sonant.pretraining import LayerTargets, MaskedPredictionConfig
from sonant.recipes import wavlm_base
from sonant.training.runs import PretrainingRun


def recipe() -> PretrainingRun:
    """The two stages of Base, then clusters of layer 9 with speech and noise mixed in; needs noise=MANIFEST."""
    base = wavlm_base.recipe()
    second = base.stages[-1]
    third = replace(
        second,
        name="layer9",
        objective=MaskedPredictionConfig(targets=LayerTargets(layer=9, num_clusters=500)),
        mixing=Mixing(probability=0.2, noise_probability=0.1),
        training=replace(second.training, steps=700_000),
    )
    return replace(base, name="wavlm_base_plus", stages=(*base.stages, third))

"""WavLM Base+: Base with more data (94,000 hours), noise in the mixing, and targets of a second-iteration model.

Steps (700,000) and the share of noise (0.1) are quoted from the paper and were not found in any released code.
"""

from dataclasses import replace

from sonant.audio.augment import Mixing
from sonant.pretraining import LayerTargets, MaskedPredictionConfig
from sonant.recipes import wavlm_base
from sonant.training.runs import PretrainingRun


def recipe() -> PretrainingRun:
    """The two stages of Base, then clusters of layer 9 with speech and noise mixed in; give noise=MANIFEST."""
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

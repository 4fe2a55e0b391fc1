"""WavLM Base+: Base for 94,000 hours, with noise in the mixing, and targets of a second-iteration model.

The hours: 60,000 of Libri-Light, 10,000 of GigaSpeech, 24,000 of VoxPopuli. The noises: those of the DNS challenge.
"""

from dataclasses import replace

from sonant.audio.augment import Mixing
from sonant.pretraining import LayerTargets, MaskedPredictionConfig
from sonant.recipes import wavlm_base
from sonant.recipes.sources import SettingSource, whole_spans
from sonant.training.runs import PretrainingRun

SOURCES = wavlm_base.SOURCES | {
    "stages.*.objective.masking.equal": whole_spans("mfcc", "layer6", "layer9"),
    "stages.layer9.objective.targets": SettingSource(
        "recalled", "arXiv 2110.13900: layer 9 of the released HuBERT Base, here of a model of the stages before"
    ),
    "stages.layer9.mixing": SettingSource("released", wavlm_base.MIXING_CODE),
    "stages.layer9.mixing.noise_probability": SettingSource("recalled", "arXiv 2110.13900"),
    "stages.layer9.mixing.allow_self": SettingSource(
        "ours",
        "no clip is mixed with itself",
        f"{wavlm_base.MIXING_CODE}: it may be",
        ("stages.layer9.mixing.allow_self=true",),
    ),
    "stages.layer9.training.steps": SettingSource("recalled", "arXiv 2110.13900"),
    "stages.layer9.training.grad_accumulation": replace(
        wavlm_base.SOURCES["stages.layer6.training.grad_accumulation"],
        changes=("stages.layer9.training.grad_accumulation=128",),
    ),
}


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

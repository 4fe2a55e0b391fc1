"""Continued pretraining: a model that exists, trained further on recordings of one's own; needs model=MODEL.

WavLM, HuBERT and all others with masked frames predict clusters of a layer of their own (or of a teacher's), fitted on
the recordings; wav2vec 2.0 goes on with the quantizer of its file, if that has one; wav2vec and vq-wav2vec with CPC; a
BERT on codes with masked tokens. Clusters, masks, mixing and weights of the losses are those published for each
family, and so is the layer: 9 of 12, where HuBERT's authors took the targets of their large models. The rate, a tenth
of the published peak, the steps and the held-out share are ours.
"""

from dataclasses import replace

from sonant.audio.augment import Mixing
from sonant.checkpoints import Head
from sonant.checkpoints.hf_config import codebooks
from sonant.layers.gumbel_quantizer import Temperature
from sonant.models import (
    BackboneConfig,
    DiscreteBERTConfig,
    VQWav2VecConfig,
    W2vBERT2Config,
    Wav2Vec2Config,
    Wav2VecConfig,
    WavLMConfig,
)
from sonant.models.families import presets
from sonant.pretraining import (
    Batching,
    CPCConfig,
    LayerTargets,
    MaskedContrastConfig,
    MaskedPredictionConfig,
    MaskedTokensConfig,
)
from sonant.pretraining.objectives import ObjectiveConfig
from sonant.recipes.sources import SettingSource
from sonant.training import Training
from sonant.training.runs import PretrainingRun, Stage
from sonant.training.settings import PartSettings

FAMILY = SettingSource("inferred", "what is published for the family of the model")
SOURCES = {
    "model": SettingSource("inferred", "the checkpoint that model=MODEL names; without one WavLM Base"),
    "stages.*": SettingSource("ours", "for continued pretraining on little data"),
    "stages.*.objective": FAMILY,
    "stages.*.mixing": FAMILY,
    "stages.*.training.lr": SettingSource("ours", "a tenth of the published peak"),
}
UNTRAINED_EXTRACTOR = (W2vBERT2Config, DiscreteBERTConfig)  # log-mel energies, and codes


def recipe(model: BackboneConfig | None = None, head: Head | None = None) -> PretrainingRun:
    """10,000 steps of 350 s of audio at a tenth of the published rate.

    Args:
        model: configuration of the model; None for WavLM Base.
        head: pretraining head of its file.
    """
    model = WavLMConfig() if model is None else model
    return PretrainingRun(
        name="adapt",
        model=model,
        stages=(
            Stage(
                name="continued",
                objective=_objective(model, head),
                start="previous",
                batching=Batching(min_seconds=0.5),
                mixing=Mixing(probability=0.2 if isinstance(model, WavLMConfig) else 0.0),
                training=Training(
                    steps=10_000,
                    lr=5e-5,
                    grad_accumulation=4,
                    precision="bfloat16",
                    parts=() if isinstance(model, UNTRAINED_EXTRACTOR) else (PartSettings(name="backbone.extractor"),),
                    save_every=500,
                    validate_every=500,
                ),
            ),
        ),
        held_out_share=0.02,
    )


def _objective(model: BackboneConfig, head: Head | None) -> ObjectiveConfig:
    """Return the objective of a family; masked prediction where its own has no recipe, or its file no quantizer."""
    match model:
        case Wav2VecConfig() | VQWav2VecConfig():
            return CPCConfig()
        case DiscreteBERTConfig():
            return MaskedTokensConfig()
        case Wav2Vec2Config() if head is not None and "quantizer.codebook" in head.tensors:
            return _contrast(head)
    content = presets(model)["content"].layer
    targets = LayerTargets(layer=content, num_clusters=500)
    return MaskedPredictionConfig(
        targets=targets,
        projection_dim=256 if model.dim <= 768 else 768,
        extractor_gradient=1.0 if getattr(model, "pre_norm", True) else 0.1,
    )


def _contrast(head: Head) -> MaskedContrastConfig:
    """Return the contrast whose quantizer a head holds, at the temperature where the published training ended."""
    num_codebooks, codebook_size, width = codebooks(head)
    usual = MaskedContrastConfig()
    return replace(
        usual,
        num_codebooks=num_codebooks,
        codebook_size=codebook_size,
        quantized_dim=num_codebooks * width,
        projection_dim=len(head.tensors["projection.weight"]),
        temperature=Temperature(start=usual.temperature.end, end=usual.temperature.end),
    )

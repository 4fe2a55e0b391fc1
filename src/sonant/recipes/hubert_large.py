"""HuBERT Large: clusters of layer 9 of a HuBERT Base (`hubert_base` or published), for 60,000 hours of Libri-Light.

Source: arXiv 2106.07447, section IV, and fairseq's `hubert_large_librivox.yaml`.
"""

from dataclasses import replace

from sonant.models.hubert import LARGE
from sonant.pretraining import LayerTargets, MaskedPredictionConfig
from sonant.recipes import hubert_base
from sonant.training.runs import PretrainingRun

OBJECTIVE = MaskedPredictionConfig(
    targets=LayerTargets(layer=9, num_clusters=500), projection_dim=768, extractor_gradient=1.0
)


def recipe() -> PretrainingRun:
    """400,000 steps of 128 batches of 56.25 s; needs teacher=MODEL."""
    base = hubert_base.recipe()
    second = base.stages[-1]
    large = replace(
        second,
        name="layer9",
        objective=OBJECTIVE,
        batching=replace(second.batching, batch_seconds=56.25),
        training=replace(second.training, lr=1.5e-3, clip_norm=1.0, grad_accumulation=128),
    )
    return replace(base, name="hubert_large", model=LARGE, stages=(large,))

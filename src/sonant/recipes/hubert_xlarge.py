"""HuBERT X-Large: Large with twice the layers (arXiv 2106.07447, section IV, and `hubert_xlarge_librivox.yaml`)."""

from dataclasses import replace

from sonant.models.hubert import XLARGE
from sonant.recipes import hubert_large
from sonant.training.runs import PretrainingRun


def recipe() -> PretrainingRun:
    """400,000 steps of 256 batches of 22.5 s; needs teacher=MODEL."""
    large = hubert_large.recipe()
    (stage,) = large.stages
    xlarge = replace(
        stage,
        objective=replace(hubert_large.OBJECTIVE, projection_dim=1024),
        batching=replace(stage.batching, batch_seconds=22.5),
        training=replace(stage.training, lr=3e-3, grad_accumulation=256),
    )
    return replace(large, name="hubert_xlarge", model=XLARGE, stages=(xlarge,))

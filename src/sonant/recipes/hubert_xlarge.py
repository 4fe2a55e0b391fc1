"""HuBERT X-Large: the run of Large with twice the layers and another batch (arXiv 2106.07447, section IV).

Source of the numbers: fairseq's `hubert_xlarge_librivox.yaml`.
"""

from dataclasses import replace

from sonant.models.hubert import XLARGE
from sonant.recipes import hubert_large
from sonant.training.runs import PretrainingRun


def recipe() -> PretrainingRun:
    """400,000 updates, each of 256 devices' batches of 22.5 s; give teacher=MODEL."""
    large = hubert_large.recipe()
    (stage,) = large.stages
    xlarge = replace(
        stage,
        objective=replace(hubert_large.OBJECTIVE, projection_dim=1024),
        batching=replace(stage.batching, batch_seconds=22.5),
        training=replace(stage.training, lr=3e-3, grad_accumulation=256),
    )
    return replace(large, name="hubert_xlarge", model=XLARGE, stages=(xlarge,))

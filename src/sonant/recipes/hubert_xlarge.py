"""HuBERT X-Large: Large with twice the layers."""

from dataclasses import replace

from sonant.models.hubert import XLARGE
from sonant.recipes import hubert_large
from sonant.recipes.sources import SettingSource
from sonant.training.runs import PretrainingRun

CONFIG = "fairseq, examples/hubert/config/pretrain/hubert_xlarge_librivox.yaml"
SOURCES = hubert_large.SOURCES | {
    "model": SettingSource("released", f"{CONFIG}; defaults of models/hubert/hubert.py"),
    "stages.*": SettingSource("released", CONFIG),
    "stages.*.batching": SettingSource(
        "released", f"{CONFIG}: at most 0.36 M samples, all cropped to the shortest clip"
    ),
    "stages.*.training.grad_accumulation": SettingSource("released", f"256 GPUs: {CONFIG}"),
}


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

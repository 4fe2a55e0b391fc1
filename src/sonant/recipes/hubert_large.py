"""HuBERT Large: clusters of layer 9 of a HuBERT Base (`hubert_base` or published), for 60,000 hours of Libri-Light."""

from dataclasses import replace

from sonant.models.hubert import LARGE
from sonant.pretraining import LayerTargets, MaskedPredictionConfig
from sonant.recipes import hubert_base
from sonant.recipes.sources import SettingSource, whole_spans
from sonant.training.runs import PretrainingRun

OBJECTIVE = MaskedPredictionConfig(
    targets=LayerTargets(layer=9, num_clusters=500), projection_dim=768, extractor_gradient=1.0
)

CONFIG = "fairseq, examples/hubert/config/pretrain/hubert_large_librivox.yaml"
TARGETS = SettingSource("released", "fairseq, examples/hubert: the quantizer hubert_base_ls960_L9_km500.bin")
NORMALIZE = SettingSource(
    "released", CONFIG, "fairseq normalizes whole recordings, before cropping; here each clip is normalized"
)
SOURCES = {
    "model": SettingSource("released", f"{CONFIG}; defaults of models/hubert/hubert.py"),
    "model.normalize": NORMALIZE,
    "stages.*": SettingSource("released", CONFIG),
    "stages.*.objective.masking.equal": whole_spans("layer9"),
    "stages.*.objective.targets": TARGETS,
    "stages.*.batching": SettingSource(
        "released", f"{CONFIG}: at most 0.9 M samples, all cropped to the shortest clip"
    ),
    "stages.*.training.grad_accumulation": SettingSource("released", f"128 GPUs: {CONFIG}"),
    "stages.*.training.precision": hubert_base.SOURCES["stages.*.training.precision"],
}


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

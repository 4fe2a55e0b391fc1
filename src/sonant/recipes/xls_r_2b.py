"""XLS-R with 2 billion parameters, on 436,000 hours of 128 languages (arXiv 2111.09296).

The authors repeat recordings of languages with little data; do that in the manifest. They shard the model over GPUs and
recompute activations; both save memory and change no result.
"""

from dataclasses import replace

from sonant.models.wav2vec2 import XLS_R_2B
from sonant.recipes import wav2vec2_large_lv60, xlsr_53
from sonant.recipes.sources import SettingSource
from sonant.training.runs import PretrainingRun

CONFIG = "stopes, modules/speech/wav2vec/utils.py, the whole configuration of a model of this size"
SOURCES = {
    "model": SettingSource("released", CONFIG),
    "model.normalize": replace(wav2vec2_large_lv60.NORMALIZE, where=CONFIG),
    "stages.*": SettingSource("released", CONFIG),
    "stages.*.objective.masking.equal": wav2vec2_large_lv60.SOURCES["stages.*.objective.masking.equal"],
    "stages.*.batching": SettingSource("released", f"{CONFIG}: at most 1.024 M samples"),
    "stages.*.training.clip_norm": SettingSource("released", f"none: {CONFIG}"),
    "stages.*.training.grad_accumulation": SettingSource("released", f"200 GPUs, 3.6 h an update: {CONFIG}"),
    "stages.*.training.precision": wav2vec2_large_lv60.SOURCES["stages.*.training.precision"],
}


def recipe() -> PretrainingRun:
    """A million steps of 200 batches of 64 s."""
    run = xlsr_53.recipe()
    (stage,) = run.stages
    larger = replace(
        stage,
        objective=replace(wav2vec2_large_lv60.OBJECTIVE, quantized_dim=1024, projection_dim=1024),
        batching=replace(stage.batching, batch_seconds=64.0),
        training=replace(stage.training, lr=8e-5, grad_accumulation=200),
    )
    return replace(run, name="xls_r_2b", model=XLS_R_2B, stages=(larger,))

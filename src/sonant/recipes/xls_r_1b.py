"""XLS-R with 1 billion parameters: `xls_r_2b` with a narrower model. Its learning rate was not found."""

from dataclasses import replace

from sonant.models.wav2vec2 import XLS_R_1B
from sonant.recipes import xls_r_2b
from sonant.recipes.sources import SettingSource
from sonant.training.runs import PretrainingRun

LIKE_2B = SettingSource("inferred", f"that of XLS-R 2B: {xls_r_2b.CONFIG}")
CHECKPOINT = "AntiDeepfake of the NII, configuration xlsr_1b, copied from the checkpoint"
SOURCES = xls_r_2b.SOURCES | {
    "model": SettingSource("reported", CHECKPOINT),
    "stages.*": LIKE_2B,
    "stages.*.objective": SettingSource("reported", CHECKPOINT),
    "stages.*.batching": LIKE_2B,
    "stages.*.batching.batch_seconds": SettingSource(
        "inferred", "arXiv 2111.09296, recalled: 0.8 to 1 M samples on each of 200 GPUs; 2B has the larger number"
    ),
    "stages.*.training.lr": SettingSource("ours", "not found; that of 2B, the nearest known size"),
    "stages.*.training.clip_norm": LIKE_2B,
    "stages.*.training.grad_accumulation": SettingSource("recalled", "arXiv 2111.09296: 200 GPUs, 2.8 h an update"),
}


def recipe() -> PretrainingRun:
    """A million steps of 200 batches of 50 s."""
    run = xls_r_2b.recipe()
    (stage,) = run.stages
    narrower = replace(stage, batching=replace(stage.batching, batch_seconds=50.0))
    return replace(run, name="xls_r_1b", model=XLS_R_1B, stages=(narrower,))

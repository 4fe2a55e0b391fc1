"""XLSR-53: wav2vec 2.0 Large on 56,000 hours of 53 languages (arXiv 2006.13979).

The authors repeat recordings of languages with little data; do that in the manifest.
"""

from dataclasses import replace

from sonant.models.wav2vec2 import XLS_R_300M
from sonant.recipes import wav2vec2_large_lv60
from sonant.recipes.sources import SettingSource
from sonant.training import Linear
from sonant.training.runs import PretrainingRun

AUTHORS = "fairseq issue 2997: its authors name the settings for Libri-Light with a lower lr"
CHECKPOINT = "fairseq issue 3526, arguments printed from a checkpoint that we take for this one"
SOURCES = wav2vec2_large_lv60.SOURCES | {
    "model": SettingSource("reported", f"{AUTHORS}; allosaurus copies the checkpoint's configuration"),
    "model.attention_dropout": SettingSource("reported", "allosaurus, am/module/frontend, copied from the checkpoint"),
    "model.input_dropout": SettingSource("reported", "allosaurus, am/module/frontend, copied from the checkpoint"),
    "stages.*": SettingSource("reported", f"{AUTHORS}, {wav2vec2_large_lv60.CONFIG}"),
    "stages.*.objective.feature_dropout": SettingSource("reported", "allosaurus, copied from the checkpoint"),
    "stages.*.batching": SettingSource("reported", CHECKPOINT),
    "stages.*.training.lr": SettingSource("reported", CHECKPOINT),
    "stages.*.training.steps": SettingSource("reported", CHECKPOINT),
    "stages.*.training.schedule": SettingSource("reported", f"{AUTHORS}: 32,000 updates of warm-up"),
    "stages.*.training.grad_accumulation": SettingSource("inferred", f"128 GPUs, as in {wav2vec2_large_lv60.CONFIG}"),
}


def recipe() -> PretrainingRun:
    """Large (LV-60) without dropout, with another lr, for a million steps."""
    large = wav2vec2_large_lv60.recipe()
    (stage,) = large.stages
    longer = replace(
        stage,
        objective=replace(wav2vec2_large_lv60.OBJECTIVE, feature_dropout=0.0),
        training=replace(stage.training, steps=1_000_000, lr=1e-3, schedule=Linear(warmup=0.032)),
    )
    return replace(large, name="xlsr_53", model=XLS_R_300M, stages=(longer,))

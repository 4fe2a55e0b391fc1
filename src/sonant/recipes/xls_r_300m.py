"""XLS-R with 300 million parameters: the model of `xlsr_53` on the data of `xls_r_2b`. Its lr was not found."""

from dataclasses import replace

from sonant.recipes import xls_r_2b, xlsr_53
from sonant.recipes.sources import SettingSource
from sonant.training.runs import PretrainingRun

PAPER = SettingSource("recalled", "arXiv 2111.09296: nearly 2 M samples on each of 128 GPUs, 4.3 h an update")
LIKE_2B = SettingSource("inferred", f"that of XLS-R 2B: {xls_r_2b.CONFIG}")
SOURCES = xls_r_2b.SOURCES | {
    "model": SettingSource("reported", "config.json of Hugging Face; the same network as XLSR-53"),
    "stages.*": LIKE_2B,
    "stages.*.objective": SettingSource("inferred", f"XLSR-53's: {xlsr_53.SOURCES['stages.*'].where}"),
    "stages.*.batching": LIKE_2B,
    "stages.*.batching.batch_seconds": PAPER,
    "stages.*.training.lr": SettingSource("ours", "not found; that of XLSR-53, the same network and objective"),
    "stages.*.training.clip_norm": LIKE_2B,
    "stages.*.training.grad_accumulation": PAPER,
}


def recipe() -> PretrainingRun:
    """A million steps of 128 batches of 120 s."""
    run = xlsr_53.recipe()
    (stage,) = run.stages
    larger = replace(stage, batching=replace(stage.batching, batch_seconds=120.0))
    return replace(run, name="xls_r_300m", stages=(larger,))

"""wav2vec 2.0 Large for 53,200 hours of Libri-Light (LV-60): pre-norm blocks, layer norms in the extractor.

Paper and released configuration differ in lr, steps and dropout; the recipe follows the paper and the checkpoint.
"""

from dataclasses import replace

from sonant.models.wav2vec2 import LARGE_LV60
from sonant.recipes import wav2vec2_base, wav2vec2_large
from sonant.recipes.sources import SettingSource, whole_spans
from sonant.training.runs import PretrainingRun

OBJECTIVE = replace(wav2vec2_large.OBJECTIVE, feature_penalty=0.0, extractor_gradient=1.0)

CONFIG = "fairseq, examples/wav2vec/config/pretraining/wav2vec2_large_librivox.yaml"
LONGER = (
    "stages.contrast.training.lr=0.005",
    "stages.contrast.training.steps=1000000",
    "stages.contrast.training.schedule.warmup=0.032",
)
PAPER = SettingSource("recalled", "arXiv 2006.11477, section 4.2", f"{CONFIG}: lr 0.005, a million updates", LONGER)
CHECKPOINT = SettingSource(
    "reported",
    "the released checkpoint's configuration",
    f"{CONFIG}: none",
    ("model.attention_dropout=0", "model.input_dropout=0", "stages.contrast.objective.feature_dropout=0"),
)
NORMALIZE = SettingSource(
    "released", CONFIG, "fairseq normalizes whole recordings, before cropping; here each clip is normalized"
)
SOURCES = {
    "model": SettingSource("released", f"{CONFIG}; defaults of models/wav2vec/wav2vec2.py"),
    "model.attention_dropout": CHECKPOINT,
    "model.input_dropout": CHECKPOINT,
    "model.normalize": NORMALIZE,
    "stages.*": SettingSource("released", CONFIG),
    "stages.*.objective": SettingSource("released", f"{CONFIG}; defaults of models/wav2vec/wav2vec2.py"),
    "stages.*.objective.feature_dropout": CHECKPOINT,
    "stages.*.objective.masking.equal": whole_spans("contrast"),
    "stages.*.batching": SettingSource(
        "released", f"{CONFIG}: at most 1.2 M samples and 4 clips, cropped to the shortest"
    ),
    "stages.*.training.lr": PAPER,
    "stages.*.training.steps": PAPER,
    "stages.*.training.schedule": PAPER,
    "stages.*.training.clip_norm": SettingSource("released", f"none: {CONFIG}"),
    "stages.*.training.grad_accumulation": SettingSource("released", f"128 GPUs: {CONFIG}; the paper agrees"),
    "stages.*.training.precision": wav2vec2_base.PRECISION,
}


def recipe() -> PretrainingRun:
    """600,000 steps with the batches of Large."""
    large = wav2vec2_large.recipe()
    (stage,) = large.stages
    longer = replace(
        stage,
        objective=OBJECTIVE,
        training=replace(stage.training, steps=600_000),
    )
    return replace(large, name="wav2vec2_large_lv60", model=LARGE_LV60, stages=(longer,))

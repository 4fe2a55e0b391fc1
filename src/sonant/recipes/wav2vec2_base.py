"""wav2vec 2.0 Base, for 960 hours of LibriSpeech. A step is 1.6 hours of speech."""

from sonant.models import Wav2Vec2Config
from sonant.pretraining import Batching, MaskedContrastConfig
from sonant.recipes.sources import SettingSource, whole_spans
from sonant.training import Training
from sonant.training.runs import PretrainingRun, Stage

UNCLIPPED = 1e9

CONFIG = "fairseq, examples/wav2vec/config/pretraining/wav2vec2_base_librispeech.yaml"
PRECISION = SettingSource("ours", "the original has float16 with a scaled loss")
SOURCES = {
    "model": SettingSource("released", f"{CONFIG}; defaults of models/wav2vec/wav2vec2.py"),
    "stages.*": SettingSource("released", CONFIG),
    "stages.*.objective": SettingSource("released", f"{CONFIG}; defaults of models/wav2vec/wav2vec2.py"),
    "stages.*.objective.masking.equal": whole_spans("contrast"),
    "stages.*.batching": SettingSource(
        "released", f"{CONFIG}: at most 1.4 M samples, all cropped to the shortest clip"
    ),
    "stages.*.training.clip_norm": SettingSource("released", f"none: {CONFIG}"),
    "stages.*.training.grad_accumulation": SettingSource("released", f"64 GPUs: {CONFIG}; the paper agrees"),
    "stages.*.training.precision": PRECISION,
}


def recipe() -> PretrainingRun:
    """One stage of masked contrast, 400,000 steps."""
    return PretrainingRun(
        name="wav2vec2_base",
        model=Wav2Vec2Config(),
        stages=(
            Stage(
                name="contrast",
                objective=MaskedContrastConfig(),
                batching=Batching(batch_seconds=87.5, max_seconds=15.625, min_seconds=2.0, fill="shortest"),
                training=Training(
                    steps=400_000, lr=5e-4, clip_norm=UNCLIPPED, grad_accumulation=64, precision="bfloat16"
                ),
            ),
        ),
    )

"""Base model of the wav2vec paper, for 960 hours of LibriSpeech.

The initialization of the extractor is ours, with weights 2.4 times as large as torch's default; norms after them remove
the scale, but it lowers the effective learning rate.
"""

from sonant.models import Wav2VecConfig
from sonant.pretraining import Batching, CPCConfig
from sonant.recipes.sources import SettingSource
from sonant.training import Cosine, Training
from sonant.training.runs import PretrainingRun, Stage

COMMAND = "fairseq, examples/wav2vec/README.md, the command for wav2vec"
DEFAULTS = SettingSource("released", "fairseq's defaults of 2019")
SOURCES = {
    "model": SettingSource("published", "arXiv 1904.05862, sections 3.1 and 4.2"),
    "stages.*": SettingSource("released", COMMAND),
    "stages.*.objective": SettingSource("released", f"{COMMAND}; defaults of models/wav2vec/wav2vec.py"),
    "stages.*.batching.min_seconds": SettingSource("ours", "so that every clip has frames to predict"),
    "stages.*.training.betas": DEFAULTS,
    "stages.*.training.eps": DEFAULTS,
    "stages.*.training.weight_decay": DEFAULTS,
    "stages.*.training.clip_norm": DEFAULTS,
    "stages.*.training.grad_accumulation": SettingSource("published", "arXiv 1904.05862, section 4.2: 8 GPUs"),
    "stages.*.training.precision": SettingSource("ours", "the original has float16 with a scaled loss"),
}


def recipe() -> PretrainingRun:
    """One stage of CPC, 400,000 steps."""
    return PretrainingRun(
        name="wav2vec_base",
        model=Wav2VecConfig(),
        stages=(
            Stage(
                name="contrast",
                objective=CPCConfig(),
                batching=Batching(batch_seconds=93.75, max_seconds=9.375, min_seconds=1.0, fill="shortest"),
                training=Training(
                    steps=400_000,
                    lr=5e-3,
                    schedule=Cosine(),  # from 1e-7 in 500 updates, and down to 1e-6
                    betas=(0.9, 0.999),
                    eps=1e-8,
                    weight_decay=0.0,
                    clip_norm=25.0,
                    grad_accumulation=8,
                    precision="bfloat16",
                ),
            ),
        ),
    )

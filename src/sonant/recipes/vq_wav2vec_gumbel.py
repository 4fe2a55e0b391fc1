"""vq-wav2vec with a Gumbel softmax, for 960 hours of LibriSpeech.

Command and paper differ; the recipe follows the command. The paper also anneals the temperature linearly, over 70 % of
the run.
"""

from dataclasses import replace

from sonant.models.vq_wav2vec import GUMBEL
from sonant.recipes import wav2vec_base
from sonant.recipes.sources import SettingSource
from sonant.training import Cosine
from sonant.training.runs import PretrainingRun

COMMAND = "fairseq, examples/wav2vec/README.md, the command for vq-wav2vec"
PAPER = "arXiv 1910.05453, section 5.2"
SOURCES = wav2vec_base.SOURCES | {
    "model": SettingSource("released", f"{COMMAND}; defaults of models/wav2vec/wav2vec.py"),
    "stages.*": SettingSource("released", COMMAND),
    "stages.*.objective": SettingSource("released", f"{COMMAND}; defaults of models/wav2vec/wav2vec.py"),
    "stages.*.objective.steps": SettingSource(
        "released", COMMAND, f"{PAPER}: 8", ("stages.contrast.objective.steps=8",)
    ),
    "stages.*.batching.batch_seconds": SettingSource(
        "released", COMMAND, f"{PAPER}: ten crops", ("stages.contrast.batching.batch_seconds=93.75",)
    ),
    "stages.*.training.lr": SettingSource(
        "released", COMMAND, f"{PAPER}: 5e-3", ("stages.contrast.training.lr=0.005",)
    ),
    "stages.*.training.grad_accumulation": SettingSource(
        "released",
        "fairseq, examples/wav2vec/README.md: the released models were trained on 16 GPUs",
        f"{PAPER}: 8 GPUs",
        ("stages.contrast.training.grad_accumulation=8",),
    ),
}


def recipe() -> PretrainingRun:
    """One stage of CPC on quantized frames, 400,000 steps."""
    base = wav2vec_base.recipe()
    (stage,) = base.stages
    stage = replace(
        stage,
        batching=replace(stage.batching, batch_seconds=18.75),
        training=replace(
            stage.training,
            lr=1e-5,
            schedule=Cosine(warmup=1000 / 400_000, initial_scale=0.01, final_scale=0.1),  # 1e-7 ... 1e-6
            grad_accumulation=16,
        ),
    )
    return replace(base, name="vq_wav2vec_gumbel", model=GUMBEL, stages=(stage,))

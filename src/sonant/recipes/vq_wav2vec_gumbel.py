"""vq-wav2vec with a Gumbel softmax, for 960 hours of LibriSpeech.

Source: the command in fairseq's `examples/wav2vec/README.md`, for 16 devices. The paper (arXiv 1910.05453, section 5.2)
differs: peak lr 5e-3 after 500 updates, 8 devices, 8 steps ahead, and linear annealing of the temperature over 70 % of
the run.
"""

from dataclasses import replace

from sonant.models.vq_wav2vec import GUMBEL
from sonant.recipes import wav2vec_base
from sonant.training import Cosine
from sonant.training.runs import PretrainingRun


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

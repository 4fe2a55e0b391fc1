"""vq-wav2vec with a Gumbel softmax, as its authors' command trains it: 400,000 updates on LibriSpeech.

Source: fairseq's `examples/wav2vec/README.md` and its note of 16 devices. The paper (arXiv 1910.05453, section 5.2)
says otherwise: a peak rate of 5e-3 after 500 updates, 8 devices, 8 steps ahead, and a temperature that falls in a line
over the first 70 % of the run.
"""

from dataclasses import replace

from sonant.models.vq_wav2vec import GUMBEL
from sonant.recipes import wav2vec_base
from sonant.training import Cosine
from sonant.training.runs import PretrainingRun


def recipe() -> PretrainingRun:
    """One stage of CPC on quantized frames; every setting of the objective is its default."""
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

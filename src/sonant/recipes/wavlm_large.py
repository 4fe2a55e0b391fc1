"""WavLM Large: the last stage of Base+ with the large model, and targets of a Base model (`wavlm_base` or published).

Objective, lr and batch are those of HuBERT Large (arXiv 2106.07447); those of WavLM Large are not published.
"""

from dataclasses import replace

from sonant.models.wavlm import LARGE
from sonant.recipes import hubert_large, wavlm_base_plus
from sonant.training.runs import PretrainingRun


def recipe() -> PretrainingRun:
    """Clusters of the teacher's layer 9, speech and noise mixed in; needs teacher=MODEL and noise=MANIFEST."""
    base = wavlm_base_plus.recipe()
    stage = base.stages[-1]
    large = replace(
        stage,
        name="large",
        batching=replace(stage.batching, batch_seconds=56.25),
        training=replace(stage.training, lr=1.5e-3, clip_norm=1.0, grad_accumulation=128),
        objective=hubert_large.OBJECTIVE,
    )
    return replace(base, name="wavlm_large", model=LARGE, stages=(large,))

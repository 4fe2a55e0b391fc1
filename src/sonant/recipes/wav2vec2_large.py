"""wav2vec 2.0 Large for 960 hours of LibriSpeech: post-norm blocks, group norm in the extractor.

Source: arXiv 2006.11477, section 4.2; fairseq has no configuration of this run. `extractor_gradient` is 0.1, as in the
paper for LibriSpeech; fairseq's first command for a large model has 0.03.
"""

from dataclasses import replace

from sonant.layers.gumbel_quantizer import Temperature
from sonant.models.wav2vec2 import LARGE_LS960
from sonant.pretraining import MaskedContrastConfig
from sonant.recipes import wav2vec2_base
from sonant.training.runs import PretrainingRun

OBJECTIVE = MaskedContrastConfig(quantized_dim=768, projection_dim=768, temperature=Temperature(end=0.1))


def recipe() -> PretrainingRun:
    """250,000 steps of 128 batches of 75 s (2.7 hours)."""
    base = wav2vec2_base.recipe()
    (stage,) = base.stages
    large = replace(
        stage,
        objective=OBJECTIVE,
        batching=replace(stage.batching, batch_seconds=75.0, max_seconds=20.0),
        training=replace(stage.training, steps=250_000, lr=3e-4, grad_accumulation=128),
    )
    return replace(base, name="wav2vec2_large", model=LARGE_LS960, stages=(large,))

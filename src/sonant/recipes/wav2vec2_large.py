"""wav2vec 2.0 Large on the 960 hours of LibriSpeech: norms behind the blocks, a group norm in the extractor.

Batches, crops, rates, updates and temperatures are the paper's (arXiv 2006.11477, section 4.2); the code was released
without a configuration of this run. The gradient of the extractor is a tenth, as the paper says of LibriSpeech;
fairseq's first command for a large model has 0.03.
"""

from dataclasses import replace

from sonant.layers.gumbel_quantizer import Temperature
from sonant.models.wav2vec2 import LARGE_LS960
from sonant.pretraining import MaskedContrastConfig
from sonant.recipes import wav2vec2_base
from sonant.training.runs import PretrainingRun

OBJECTIVE = MaskedContrastConfig(quantized_dim=768, projection_dim=768, temperature=Temperature(end=0.1))


def recipe() -> PretrainingRun:
    """Longer crops than Base, a wider projection, a colder quantizer; 128 devices' batches a step (2.7 hours)."""
    base = wav2vec2_base.recipe()
    (stage,) = base.stages
    large = replace(
        stage,
        objective=OBJECTIVE,
        batching=replace(stage.batching, batch_seconds=75.0, max_seconds=20.0),
        training=replace(stage.training, steps=250_000, lr=3e-4, grad_accumulation=128),
    )
    return replace(base, name="wav2vec2_large", model=LARGE_LS960, stages=(large,))

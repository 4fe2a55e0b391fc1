"""A small wav2vec 2.0 that one CPU core pretrains in half an hour."""

from sonant.layers.gumbel_quantizer import Temperature
from sonant.layers.masking import SpanMasking
from sonant.models.wav2vec2 import TINY
from sonant.pretraining import MaskedContrastConfig
from sonant.recipes import tiny
from sonant.training.runs import PretrainingRun, Stage


def recipe() -> PretrainingRun:
    """Masked contrast with a small codebook, after a start of the extractor.

    Spans are half as long as in the published runs, and fewer, so that there is more to go by. The extractor, which the
    start has taught, then learns at a tenth of the rate: its features are the targets. The temperature of the quantizer
    falls as far as in the published run of 400,000 steps, over the same share of it.
    """
    return PretrainingRun(
        name="wav2vec2_tiny",
        model=TINY,
        stages=(
            Stage(
                name="contrast",
                objective=MaskedContrastConfig(
                    masking=SpanMasking(fraction=0.5, length=5),
                    codebook_size=64,
                    temperature=Temperature(start=2.0, end=0.5, decay=0.999),
                    feature_penalty=0.1,
                    extractor_gradient=0.1,
                    feature_dropout=0.0,
                ),
                extractor_steps=600,
                batching=tiny.BATCHING,
                training=tiny.training(2_000, save_every=250),
            ),
        ),
    )

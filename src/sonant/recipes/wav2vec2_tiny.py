"""Small wav2vec 2.0; half an hour on one CPU core."""

from sonant.layers.gumbel_quantizer import Temperature
from sonant.layers.masking import SpanMasking
from sonant.models.wav2vec2 import TINY
from sonant.pretraining import MaskedContrastConfig
from sonant.recipes import tiny
from sonant.training.runs import PretrainingRun, Stage

SOURCES = tiny.SOURCES


def recipe() -> PretrainingRun:
    """Masked contrast with a small codebook, after initial training of the extractor.

    Spans are fewer and half as long as published, so that more context is left. The trained extractor, whose features
    are the targets, gets a tenth of the gradient. The temperature falls over the same share of the run as published.
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

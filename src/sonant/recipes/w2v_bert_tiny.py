"""A w2v-BERT of 6 million parameters that one CPU core pretrains in half an hour. All its settings are ours."""

from sonant.layers.gumbel_quantizer import Temperature
from sonant.layers.masking import SpanMasking
from sonant.models.w2v_bert2 import TINY
from sonant.pretraining import W2vBERTObjectiveConfig
from sonant.recipes import tiny
from sonant.training.runs import PretrainingRun, Stage


def recipe() -> PretrainingRun:
    """Contrast from the third of six blocks; codes and small random-projection codebooks from the last.

    Spans are half as long as published: what is near helps first, and so short a run has no time for what is far.
    Codes are many from the start, so a small weight keeps them so; a large one makes them hard to foretell.
    """
    return PretrainingRun(
        name="w2v_bert_tiny",
        model=TINY,
        stages=(
            Stage(
                name="pretraining",
                objective=W2vBERTObjectiveConfig(
                    masking=SpanMasking(fraction=0.5, length=5),
                    contrast_layer=3,
                    num_codebooks=2,
                    codebook_size=64,
                    quantized_dim=128,
                    projection_dim=128,
                    temperature=Temperature(start=2.0, end=0.5, decay=0.999),
                    num_negatives=50,
                    diversity_weight=0.05,
                    num_label_codebooks=4,
                    label_codebook_size=256,
                ),
                batching=tiny.BATCHING,
                training=tiny.training(3_000),
            ),
        ),
    )

"""w2v-BERT of 6 million parameters, with settings of ours; half an hour on one CPU core."""

from sonant.layers.gumbel_quantizer import Temperature
from sonant.layers.masking import SpanMasking
from sonant.models.w2v_bert2 import TINY
from sonant.pretraining import W2vBERTObjectiveConfig
from sonant.recipes import tiny
from sonant.training.runs import PretrainingRun, Stage

SOURCES = tiny.SOURCES


def recipe() -> PretrainingRun:
    """Contrast at the third of six blocks; prediction of codes and random-projection labels at the last.

    Spans are half as long as published: a short run learns only from near context. Codes are diverse from the start, so
    a small diversity weight suffices; a large one makes codes hard to predict.
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

"""BERT of a few million parameters on the codes of `vq_wav2vec_tiny`; a quarter of an hour on one CPU core."""

from dataclasses import replace

from sonant.models.discrete_bert import TINY
from sonant.pretraining import MaskedTokensConfig
from sonant.recipes import tiny
from sonant.training.runs import PretrainingRun, Stage

SOURCES = tiny.SOURCES


def recipe() -> PretrainingRun:
    """Masked tokens for 2,200 steps; needs teacher=MODEL, the vq-wav2vec that makes the tokens."""
    return PretrainingRun(
        name="discrete_bert_tiny",
        model=TINY,
        stages=(
            Stage(
                name="tokens",
                objective=MaskedTokensConfig(),
                batching=replace(tiny.BATCHING, max_seconds=5.0),
                training=tiny.training(2_200),
            ),
        ),
    )

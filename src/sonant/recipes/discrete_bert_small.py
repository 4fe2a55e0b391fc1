"""BERT on discretized speech, small size: base with a smaller width and half the dropout."""

from dataclasses import replace

from sonant.models.discrete_bert import SMALL
from sonant.recipes import discrete_bert_base
from sonant.training.runs import PretrainingRun

SOURCES = discrete_bert_base.SOURCES


def recipe() -> PretrainingRun:
    """Masked tokens for 250,000 steps; needs teacher=MODEL, the vq-wav2vec that makes the tokens."""
    return replace(discrete_bert_base.recipe(), name="discrete_bert_small", model=SMALL)

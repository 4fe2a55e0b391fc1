"""BERT on discretized speech, small size: as base, but narrower and with half of its dropout."""

from dataclasses import replace

from sonant.models.discrete_bert import SMALL
from sonant.recipes import discrete_bert_base
from sonant.training.runs import PretrainingRun


def recipe() -> PretrainingRun:
    """Masked tokens for 250,000 steps; give the vq-wav2vec that makes the tokens: teacher=MODEL."""
    return replace(discrete_bert_base.recipe(), name="discrete_bert_small", model=SMALL)

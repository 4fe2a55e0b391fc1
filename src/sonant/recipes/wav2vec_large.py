"""The published `wav2vec_large.pt`: two more layers in the extractor, twelve with skips in the context network."""

from dataclasses import replace

from sonant.models.wav2vec import LARGE
from sonant.recipes import wav2vec_base
from sonant.training.runs import PretrainingRun


def recipe() -> PretrainingRun:
    """Return the recipe of `wav2vec_base` for the large model, the one that fairseq's published command trains."""
    return replace(wav2vec_base.recipe(), name="wav2vec_large", model=LARGE)

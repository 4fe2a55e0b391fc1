"""The published `wav2vec_large.pt`: two more layers in the extractor, twelve with skips in the context network."""

from dataclasses import replace

from sonant.models.wav2vec import LARGE
from sonant.recipes import wav2vec_base
from sonant.recipes.runs import PretrainingRun


def recipe() -> PretrainingRun:
    """As `wav2vec_base`; fairseq's command is that of this model."""
    return replace(wav2vec_base.recipe(), name="wav2vec_large", model=LARGE)

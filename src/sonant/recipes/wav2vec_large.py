"""Model of the published `wav2vec_large.pt`: two more extractor layers, twelve context layers with skip connections."""

from dataclasses import replace

from sonant.models.wav2vec import LARGE
from sonant.recipes import wav2vec_base
from sonant.recipes.sources import SettingSource
from sonant.training.runs import PretrainingRun

SOURCES = wav2vec_base.SOURCES | {"model": SettingSource("released", wav2vec_base.COMMAND)}


def recipe() -> PretrainingRun:
    """`wav2vec_base` with the large model, as in fairseq's published command."""
    return replace(wav2vec_base.recipe(), name="wav2vec_large", model=LARGE)

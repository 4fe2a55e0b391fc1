"""A small vq-wav2vec, its quantiser a Gumbel softmax, that one CPU core pretrains in half an hour."""

from dataclasses import replace

from sonant.layers.gumbel_quantizer import Temperature
from sonant.models.vq_wav2vec import TINY
from sonant.pretraining import FutureContrastConfig
from sonant.recipes import wav2vec_tiny
from sonant.recipes.pretraining import PretrainingRun


def recipe() -> PretrainingRun:
    """As `wav2vec_tiny`; the temperature falls from 2 to 0.5 over the first 70 % of the run, as in the paper."""
    base = wav2vec_tiny.recipe()
    (stage,) = base.stages
    share = 0.7 * stage.training.steps
    objective = FutureContrastConfig(temperature=Temperature(start=2.0, end=0.5, decay=0.25 ** (1 / share)))
    return replace(base, name="vq_wav2vec_tiny", model=TINY, stages=(replace(stage, objective=objective),))

"""Training loop, schedules, log, saved state, and runs of pretraining."""

from sonant.training.curves import plot_curves, plot_runs
from sonant.training.log import Monitoring, TrainingWarning
from sonant.training.loop import DivergedError, train
from sonant.training.schedules import Cosine, Linear, Schedule, TriStage
from sonant.training.settings import PartSettings, Training
from sonant.training.validation import Criterion

__all__ = [
    "Cosine",
    "Criterion",
    "DivergedError",
    "Linear",
    "Monitoring",
    "PartSettings",
    "Schedule",
    "Training",
    "TrainingWarning",
    "TriStage",
    "plot_curves",
    "plot_runs",
    "train",
]

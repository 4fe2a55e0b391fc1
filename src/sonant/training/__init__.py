"""One loop for every objective and task, its schedules and its state."""

from sonant.training.curves import plot_curves
from sonant.training.log import TrainingWarning
from sonant.training.loop import DivergedError, Training, train
from sonant.training.schedules import Cosine, Linear, Schedule, TriStage

__all__ = [
    "Cosine",
    "DivergedError",
    "Linear",
    "Schedule",
    "Training",
    "TrainingWarning",
    "TriStage",
    "plot_curves",
    "train",
]

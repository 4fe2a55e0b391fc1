"""Training on labels: tasks, batches of labeled recordings, and runs. A task is one file with a class of settings."""

from sonant.training.tasks.batches import Augmentation, LabeledBatching
from sonant.training.tasks.ctc import CTCTask
from sonant.training.tasks.diarization import DiarizationTask
from sonant.training.tasks.dropout import DropoutRates
from sonant.training.tasks.frames import FrameTask
from sonant.training.tasks.measure import measure_task, state_norms
from sonant.training.tasks.mixer import SourceMixing
from sonant.training.tasks.regression import RegressionTask
from sonant.training.tasks.results import Prediction, TaskResult
from sonant.training.tasks.run import train_task
from sonant.training.tasks.separation import EnhancementTask, MaskTask, SeparationTask
from sonant.training.tasks.seq2seq import Seq2SeqTask, TranslationTask
from sonant.training.tasks.settings import TaskRun
from sonant.training.tasks.slots import SlotTask
from sonant.training.tasks.speaker import SpeakerTask
from sonant.training.tasks.tags import TagTask
from sonant.training.tasks.task import Task
from sonant.training.tasks.utterance import UtteranceTask

__all__ = [
    "Augmentation",
    "CTCTask",
    "DiarizationTask",
    "DropoutRates",
    "EnhancementTask",
    "FrameTask",
    "LabeledBatching",
    "MaskTask",
    "Prediction",
    "RegressionTask",
    "SeparationTask",
    "Seq2SeqTask",
    "SlotTask",
    "SourceMixing",
    "SpeakerTask",
    "TagTask",
    "Task",
    "TaskResult",
    "TaskRun",
    "TranslationTask",
    "UtteranceTask",
    "measure_task",
    "state_norms",
    "train_task",
]

"""Training on labels by the name of a task, one recipe each."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sonant.recipes import LANGUAGE_MODELS, language_model_recipe, task_recipe
from sonant.recipes.overrides import override
from sonant.training.tasks import TaskRun, train_task
from sonant.training.text import LanguageModelRun, train_language_model


def task_run(task: str, changes: Iterable[str | Mapping[str, Any]]) -> TaskRun:
    """Make the run of a task with changed settings, as in `override`.

    Raises:
        UnknownName: an unknown task.
        ConfigurationError: an unknown key, or an invalid value.
    """
    return override(task_recipe(task), changes)


def language_model_run(name: str, changes: Iterable[str | Mapping[str, Any]]) -> LanguageModelRun:
    """Make the run of a language model with changed settings; raises as `task_run`."""
    return override(language_model_recipe(name), changes)


def train(task: str, /, **settings: Any) -> Path:
    """Train a model on labels, and return the folder of the trained model, which `load` takes.

    "transformer_lm" and "transformer_lm_large" train a language model on text.

    A run that was interrupted goes on when it is called again with the same settings; a finished one is not repeated.

    Args:
        task: "utterance", "tags" and "regression", labels of whole recordings, "speaker" and "speaker_xvector", their
            speakers, "diarization", "diarization_powerset" and "frames", labels of segments, "ctc", "seq2seq",
            "phones" and "slots", transcripts, "translation", texts in another language, "separation" and "enhancement",
            or the name of a published run, such as "ctc_base_10min".
        **settings: those of `sonant.training.tasks.TaskRun`, for a language model
            `sonant.training.text.LanguageModelRun`, in place of the recipe's; nested ones as mappings:
            `training={"steps": 500}`.

    Raises:
        UnknownName: an unknown task.
        ConfigurationError: an unknown or invalid setting, or the run's folder is of others.
        ManifestError: recordings or labels cannot be used.
        CheckpointError: the model cannot be read.
    """
    plain = {name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in settings.items()}
    if task in LANGUAGE_MODELS:
        return train_language_model(language_model_run(task, [plain]))
    return train_task(task_run(task, [plain]))

"""Training on labels by the name of a task, one recipe each."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sonant.recipes import task_recipe
from sonant.recipes.overrides import override
from sonant.training.tasks import TaskRun, train_task


def task_run(task: str, changes: Iterable[str | Mapping[str, Any]]) -> TaskRun:
    """Make the run of a task with changed settings, as in `override`.

    Raises:
        UnknownName: an unknown task.
        ConfigurationError: an unknown key, or an invalid value.
    """
    return override(task_recipe(task), changes)


def train(task: str, /, **settings: Any) -> Path:
    """Train a model on labels, and return the folder of the trained model, which `load` takes.

    A run that was interrupted goes on when it is called again with the same settings; a finished one is not repeated.

    Args:
        task: "utterance", labels of whole recordings, "ctc", transcripts, or the name of a published run, such as
            "ctc_base_10min".
        **settings: those of `sonant.training.tasks.TaskRun`, in place of the recipe's; nested ones as mappings:
            `training={"steps": 500}`.

    Raises:
        UnknownName: an unknown task.
        ConfigurationError: an unknown or invalid setting, or the run's folder is of others.
        ManifestError: recordings or labels cannot be used.
        CheckpointError: the model cannot be read.
    """
    plain = {name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in settings.items()}
    return train_task(task_run(task, [plain]))

"""Settings of an evaluation on SUPERB."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from sonant.errors import ConfigurationError, UnknownName
from sonant.models.devices import usable_devices
from sonant.superb.tasks import AVAILABLE, SUPERB_TASKS, is_there
from sonant.training.tasks.feature_cache import DType

Way = Literal["weighted", "best_layer", "last", "fine_tuned"]
WAYS: tuple[Way, ...] = get_args(Way)


@dataclass(frozen=True, kw_only=True)
class SuperbRun:
    """Settings of an evaluation.

    Attributes:
        models: hub ids, folders or files; "random:MODEL" is the shape of MODEL with random weights, "mfcc",
            "log_mel" and "fbank" are features without weights, which are not fine-tuned.
        data: folder by name of a task or of a corpus of `sonant.data.corpora`; see `sonant.superb.data`.
        tasks: of `SUPERB_TASKS`; by default those with data.
        ways: "weighted", a learned sum of the states of the frozen model, as SUPERB has it; "best_layer", each state
            of it alone, of which the best on the development set counts; "last", its output; "fine_tuned", all of the
            model trained but its extractor.
        lr: learning rates to try, of which the best on the development set counts; empty: that of the recipe.
        steps: of each training; 0: as many as published.
        on_error: "skip" leaves out rows with errors; "raise" lists them, and trains nothing.
        cache_dtype: of the states in `output/states`.
        changes: of the recipe of a task, as `key=value` or mappings.
        output: folder of the evaluation.
    """

    models: tuple[str, ...]
    data: Mapping[str, str]
    tasks: tuple[str, ...] = ()
    ways: tuple[Way, ...] = ("weighted",)
    lr: tuple[float, ...] = ()
    steps: int = 0
    on_error: Literal["raise", "skip"] = "raise"
    cache_dtype: DType = "float32"
    changes: Mapping[str, Sequence[str | Mapping[str, Any]]] = field(default_factory=dict)
    output: str = "superb"
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        for task in (*self.tasks, *self.changes):
            if task not in SUPERB_TASKS:
                raise UnknownName("task of SUPERB", task, SUPERB_TASKS)
        if missing := [task for task in self.tasks if not is_there(task)]:
            raise ConfigurationError(
                f"{', '.join(f'{task} ({SUPERB_TASKS[task].title})' for task in missing)} cannot be trained by this "
                f"version; it has {', '.join(AVAILABLE)}. Leave the others out of the tasks."
            )
        for way in self.ways:
            if way not in WAYS:
                raise UnknownName("way to learn", way, WAYS)
        for name, given in (("models", self.models), ("ways", self.ways), ("tasks", self.tasks)):
            if len(set(given)) < len(given) or not (given or name == "tasks"):
                raise ConfigurationError(
                    f"{name}={','.join(given)} was given; expected one or several, each of them once."
                )
        if self.steps < 0 or not all(lr > 0 for lr in self.lr):
            raise ConfigurationError(
                f"steps={self.steps} and lr={self.lr} were given; expected 0 steps or more, and rates above 0."
            )
        usable_devices(self.device)

    @property
    def folder(self) -> Path:
        """The folder of the evaluation."""
        return Path(self.output).expanduser()

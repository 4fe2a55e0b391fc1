"""Sources of the settings of recipes: for each setting the paper, released code or judgment that its value is from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import import_module
from typing import Any, Literal

from sonant.data.settings import flat, json_values
from sonant.errors import UnknownName
from sonant.recipes import (
    LANGUAGE_MODELS,
    PRETRAINING,
    SELF_TRAINING,
    TASKS,
    language_model_recipe,
    pretraining_recipe,
    self_training_recipe,
    task_recipe,
)
from sonant.training.runs import PretrainingRun
from sonant.training.self_training import TRAININGS, SelfTrainingRun
from sonant.training.tasks import TaskRun
from sonant.training.text import LanguageModelRun

Kind = Literal["published", "released", "reported", "recalled", "inferred", "ours", "given"]

KINDS: dict[Kind, str] = {
    "published": "the authors' paper",
    "released": "released code or configuration: the authors', or that of a named reimplementation",
    "reported": "said in public by the authors, or copied by others from a released checkpoint",
    "recalled": "attributed to the authors' paper, and not compared with it again: check before relying on it",
    "inferred": "follows from other sources, as said",
    "ours": "our choice; the original is unknown, or differs as said",
    "given": "changed from the recipe, on the command line or in a file",
}
TASK_SETTINGS = ("task", "layer", "frozen", "lora", "dropout", "batching", "augmentation", "training")  # of a TaskRun
# Of a LanguageModelRun.
TEXT_SETTINGS = ("model", "normalization", "units", "vocabulary_size", "batch_tokens", "training")
# Of a SelfTrainingRun, beside those of its trainings.
SELF_SETTINGS = (
    "decoder",
    "trials",
    "selection",
    "ngram_order",
    "train_transformer_lm",
    "final",
)
CHOICES = ("model", "objective", "targets", "schedule", "task")  # groups whose type is a setting
# Settings without an effect on the trained weights.
WITHOUT_EFFECT = ("*.name", "*.log_every", "*.save_every", "*.validate_every", "*.compile", "*.gradient_checkpointing")


@dataclass(frozen=True)
class SettingSource:
    """Source of one setting, or of a group of settings.

    Attributes:
        where: paper and section, repository and file, or issue; or the reason for the value.
        otherwise: what another source says.
        changes: settings, as `key=value`, with which the recipe follows that other source.
    """

    kind: Kind
    where: str
    otherwise: str = ""
    changes: tuple[str, ...] = ()


Sources = Mapping[str, SettingSource]
Run = PretrainingRun | TaskRun | LanguageModelRun | SelfTrainingRun


@dataclass(frozen=True)
class SourcedSetting:
    """One setting: dotted name, the name in the recipe's sources that covers it, value as JSON holds it, and source."""

    name: str
    key: str
    value: Any
    source: SettingSource


def sources_of(recipe: str) -> Sources:
    """Return the sources of a recipe by dotted name of a setting or group; `*` stands for any stage.

    The source of a setting is that of its longest matching name (`source_key`).
    """
    others = TASKS | LANGUAGE_MODELS | SELF_TRAINING
    if recipe in others:
        of_recipe: Sources = import_module(others[recipe]).sources(recipe)
        return of_recipe
    if recipe not in PRETRAINING:
        raise UnknownName("recipe", recipe, [*PRETRAINING, *others])
    sources: Sources = import_module(PRETRAINING[recipe]).SOURCES
    return sources


def recipe_of(name: str) -> Run:
    """Return a recipe of any kind by name."""
    if name in LANGUAGE_MODELS:
        return language_model_recipe(name)
    if name in SELF_TRAINING:
        return self_training_recipe(name)
    return task_recipe(name) if name in TASKS else pretraining_recipe(name)


def settings(run: Run) -> dict[str, Any]:
    """Return the settings of a run that can affect the trained weights, by dotted name."""
    values, inner = json_values(run), dict[str, Any]()
    match run:
        case PretrainingRun():
            groups: tuple[str, ...] = ("model", "stages")
        case TaskRun():
            groups = TASK_SETTINGS
        case LanguageModelRun():
            groups = TEXT_SETTINGS
        case SelfTrainingRun():
            groups = SELF_SETTINGS
            for training in TRAININGS:
                inner |= {f"{training}.{name}": each for name, each in settings(getattr(run, training)).items()}
    every = flat({name: values[name] for name in groups})
    return inner | {name: each for name, each in every.items() if _has_effect(name)}


def source_key(name: str, sources: Sources) -> str | None:
    """Return the longest key of `sources` that covers a setting, a stage's own before that of all; None without one."""
    covering = [key for key in sources if fnmatchcase(name, key) or fnmatchcase(name, f"{key}.*")]
    return max(covering, key=lambda key: (key.count("."), "*" not in key), default=None)


def sourced(recipe: str, run: Run) -> list[SourcedSetting]:
    """Return every setting of a run with its source, in a row of its own.

    Args:
        recipe: name of the recipe that the run was made from.
        run: the recipe, with or without changes, which get the kind "given".
    """
    sources = sources_of(recipe)
    original = settings(recipe_of(recipe))
    rows = []
    for name, value in settings(run).items():
        key = source_key(name, sources)
        if key is not None and name in original and original[name] == value:
            rows.append(SourcedSetting(name, key, value, sources[key]))
        else:
            rows.append(
                SourcedSetting(name, name, value, SettingSource("given", f"the recipe has {text(original.get(name))}"))
            )
    return rows


def grouped(rows: list[SourcedSetting]) -> list[tuple[str, str, SettingSource]]:
    """Join the rows with one key: the key, their values as text, and their source."""
    members: dict[str, list[SourcedSetting]] = {}
    for row in rows:
        members.setdefault(row.key, []).append(row)
    return [(key, ", ".join(_values(key, below)), below[0].source) for key, below in members.items()]


def whole_spans(*stages: str) -> SettingSource:
    """Return the source of `masking.equal` of runs by fairseq, whose masks are made equal."""
    return SettingSource(
        "ours",
        "spans stay whole",
        "fairseq's compute_mask_indices unmasks frames at random until all clips of a batch have as many masked ones",
        tuple(f"stages.{stage}.objective.masking.equal=true" for stage in stages),
    )


def _has_effect(name: str) -> bool:
    *groups, last = name.split(".")
    return groups[-1] in CHOICES if last == "type" else not any(fnmatchcase(name, no) for no in WITHOUT_EFFECT)


def _values(key: str, rows: list[SourcedSetting]) -> Iterator[str]:
    """Yield the settings below a key with their values, the same setting of several stages once."""
    depth = key.count(".") + 1
    by_name: dict[str, dict[str, str]] = {}
    for row in rows:
        parts = row.name.split(".")
        stage = parts[1] if "*" in key else ""
        by_name.setdefault(".".join(parts[depth:]), {})[stage] = text(row.value)
    for name, by_stage in by_name.items():
        if len(set(by_stage.values())) == 1:
            said = next(iter(by_stage.values()))
        else:
            said = " and ".join(f"{value} ({stage})" for stage, value in by_stage.items())
        yield f"{name}={said}" if name else said


def text(value: Any) -> str:
    """Write a value of a setting for a reader."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case int():
            return f"{value:,}"
        case float():
            return f"{value:g}"
        case list():
            return f"[{' '.join(map(text, value))}]"
    return str(value)

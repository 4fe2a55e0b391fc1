"""Changes of settings by `dotted.key=value` or YAML files."""

from collections.abc import Iterable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import yaml

from sonant.configuration import changed, read_yaml, together
from sonant.errors import ConfigurationError

T = TypeVar("T")
LISTS = ("trackers", "stages")  # settings whose values may be given with commas between


def override(config: T, changes: Iterable[str | Mapping[str, Any]]) -> T:
    """Copy a dataclass with changed fields, which are checked after all changes.

    Args:
        config: frozen dataclass, whose fields may be dataclasses and tuples of dataclasses.
        changes: each `dotted.key=value`, the path of a YAML file with nested keys, or such keys; the last one wins.
            Elements of a tuple are named by number or `name`: `stages.0.training.steps=10`,
            `stages.mfcc.training.steps=10`. Where several dataclasses fit, `type` chooses one:
            `stages.mfcc.training.schedule.type=Cosine`.

    Raises:
        ConfigurationError: an unknown key, or an invalid value.
    """
    nested = (read_change(change) if isinstance(change, str) else change for change in changes)
    for change in together(config, nested):
        config = changed(config, change)
    return config


def read_change(change: str) -> Mapping[str, Any]:
    """Parse one change to nested keys."""
    key, equals, text = change.partition("=")
    if equals:
        value = yaml.safe_load(text) if text else ""
        if key in LISTS and isinstance(value, str):
            value = [part.strip() for part in value.split(",")] if value else []
        return _nested(key, value)
    if change.endswith((".yaml", ".yml")):
        return read_yaml(Path(change))
    raise ConfigurationError(f"{change!r} is neither key=value, such as data=PATH, nor a .yaml file.")


def _nested(key: str, value: Any) -> Mapping[str, Any]:
    """Convert `a.b` and a value to {"a": {"b": value}}."""
    return reduce(lambda inner, name: {name: inner}, reversed(key.split(".")), value)

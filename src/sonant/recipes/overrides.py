"""Changing a recipe from outside: dotted `key=value` pairs, or a YAML file of them."""

from collections.abc import Iterable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import yaml

from sonant.configuration import changed, read_yaml, together
from sonant.errors import ConfigurationError

T = TypeVar("T")


def override(config: T, changes: Iterable[str]) -> T:
    """A copy of a dataclass with some of its fields changed, all at once: they are checked when all are in.

    Args:
        config: a frozen dataclass; its fields may be dataclasses and tuples of dataclasses in turn.
        changes: each `dotted.key=value` (members of a tuple by number: `stages.0.training.steps=10`; or by their
            `name`: `stages.mfcc.training.steps=10`), or the path of a YAML file with nested keys. The later one wins.

    Raises:
        ConfigurationError: an unknown key (the known ones are listed), or a value that does not fit.
    """
    for change in together(config, map(_read, changes)):
        config = changed(config, change)
    return config


def _read(change: str) -> Mapping[str, Any]:
    """Return one change as nested keys."""
    key, equals, text = change.partition("=")
    if equals:
        return _nested(key, yaml.safe_load(text) if text else "")
    if change.endswith((".yaml", ".yml")):
        return read_yaml(Path(change))
    raise ConfigurationError(f"{change!r} is neither key=value nor a .yaml file.")


def _nested(key: str, value: Any) -> Mapping[str, Any]:
    """`a.b` and a value as {"a": {"b": value}}."""
    return reduce(lambda inner, name: {name: inner}, reversed(key.split(".")), value)

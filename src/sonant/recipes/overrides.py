"""Changing a recipe from outside: dotted `key=value` pairs, or a YAML file of them."""

from collections.abc import Iterable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import yaml

from sonant.configuration import changed, read_yaml
from sonant.errors import ConfigurationError

T = TypeVar("T")


def override(config: T, changes: Iterable[str]) -> T:
    """A copy of a dataclass with some of its fields changed.

    Args:
        config: a frozen dataclass; its fields may be dataclasses and tuples of dataclasses in turn.
        changes: each `dotted.key=value` (members of a tuple by number: `stages.0.training.steps=10`; or by their
            `name`: `stages.mfcc.training.steps=10`), or the path of a YAML file with nested keys.

    Raises:
        ConfigurationError: an unknown key (the known ones are listed), or a value that does not fit.
    """
    for change in changes:
        key, equals, text = change.partition("=")
        if equals:
            config = changed(config, _nested(key, yaml.safe_load(text) if text else ""))
        elif change.endswith((".yaml", ".yml")):
            config = changed(config, read_yaml(Path(change)))
        else:
            raise ConfigurationError(f"{change!r} is neither key=value nor a .yaml file.")
    return config


def _nested(key: str, value: Any) -> Mapping[str, Any]:
    """`a.b` and a value as {"a": {"b": value}}."""
    return reduce(lambda inner, name: {name: inner}, reversed(key.split(".")), value)

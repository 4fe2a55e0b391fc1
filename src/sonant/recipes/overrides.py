"""Changes of settings by `dotted.key=value` or YAML files."""

from collections.abc import Iterable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import yaml

from sonant.configuration import Written, changed, read_yaml, together
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
        return _nested(key, _read_value(text, is_list=key in LISTS))
    if change.endswith((".yaml", ".yml")):
        return read_yaml(Path(change))
    raise ConfigurationError(f"{change!r} is neither key=value, such as data=PATH, nor a .yaml file.")


def _read_value(text: str, *, is_list: bool) -> Any:
    """Read what is written after the equals sign: a list or keys in brackets, or one value."""
    try:
        value = yaml.safe_load(text) if text else ""
    except (yaml.YAMLError, ValueError):  # such as a path that begins with @, or the 31st of February
        value = text
    if is_list and isinstance(value, str):
        return [part.strip() for part in value.split(",")] if value else []
    if isinstance(value, list) or (isinstance(value, Mapping) and text.lstrip().startswith("{")):
        return value
    is_quoted = isinstance(value, str) and text.lstrip().startswith(("'", '"'))
    return Written(value if is_quoted else text.strip(), value)


def _nested(key: str, value: Any) -> Mapping[str, Any]:
    """Convert `a.b` and a value to {"a": {"b": value}}."""
    return reduce(lambda inner, name: {name: inner}, reversed(key.split(".")), value)

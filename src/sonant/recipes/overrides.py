"""Changing a recipe from outside: dotted `key=value` pairs, or a YAML file of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

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
            config = _set(config, key.split("."), yaml.safe_load(text) if text else "", key)
        elif change.endswith((".yaml", ".yml")):
            for path, value in _flatten(_read_yaml(Path(change))):
                config = _set(config, path, value, ".".join(path))
        else:
            raise ConfigurationError(f"{change!r} is neither key=value nor a .yaml file.")
    return config


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"The settings in {path} cannot be read: {error}") from error
    if not isinstance(content, Mapping):
        raise ConfigurationError(f"{path} must hold keys with values, but holds {type(content).__name__}.")
    return content


def _flatten(tree: Mapping[str, Any], prefix: tuple[str, ...] = ()) -> Iterable[tuple[list[str], Any]]:
    for key, value in tree.items():
        path = (*prefix, str(key))
        if isinstance(value, Mapping):
            yield from _flatten(value, path)
        else:
            yield list(path), value


def _set(config: Any, path: list[str], value: Any, key: str) -> Any:
    name, *rest = path
    if isinstance(config, tuple):
        names = [str(getattr(member, "name", number)) for number, member in enumerate(config)]
        if name in names:
            number = names.index(name)
        elif name.isdigit() and int(name) < len(config):
            number = int(name)
        else:
            raise ConfigurationError(f"Unknown key {name!r} in {key!r}. Known here: {', '.join(names)}.")
        if not rest:
            raise ConfigurationError(
                f"{key!r} names a whole group of settings; name one of them, such as {key}.{_first(config[number])}."
            )
        return (*config[:number], _set(config[number], rest, value, key), *config[number + 1 :])
    known = {field.name for field in fields(config)} if is_dataclass(config) else set()
    if name not in known:
        raise ConfigurationError(
            f"Unknown key {name!r} in {key!r}. Known here: {', '.join(sorted(known)) or 'nothing further'}."
        )
    current = getattr(config, name)
    if rest:
        changed = _set(current, rest, value, key)
    else:
        if is_dataclass(current):
            raise ConfigurationError(
                f"{key!r} names a whole group of settings; name one of them, such as {key}.{_first(current)}."
            )
        changed = _coerce(value, get_type_hints(type(config))[name], key)
    return replace(config, **{name: changed})


def _first(config: Any) -> str:
    return fields(config)[0].name if is_dataclass(config) else "0"


def _coerce(value: Any, kind: Any, key: str) -> Any:
    """The value as the annotated type, or a ConfigurationError."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        for option in arguments:
            with suppress(ConfigurationError):
                return _coerce(value, option, key)
    elif origin is tuple and isinstance(value, list):
        members = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(members) == len(value):
            return tuple(_coerce(item, member, key) for item, member in zip(value, members, strict=True))
    elif kind is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        with suppress(ValueError):
            return float(value)  # YAML reads 1e-3 as a string
    elif kind is str and isinstance(value, str | int | float):
        return str(value)
    elif value in arguments if origin is Literal else type(value) is kind:
        return value
    expected = getattr(kind, "__name__", None) if not arguments else str(kind).replace("typing.", "")
    raise ConfigurationError(f"{key}={value!r} does not fit: expected {expected}.")

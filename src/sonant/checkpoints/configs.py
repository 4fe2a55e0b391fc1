"""Configurations of any family from plain values, which may come from anywhere, and back.

What a setting may be, the annotation of its field says; how small, its default does.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from sonant.errors import ConfigurationError, UnknownName
from sonant.models import BackboneConfig
from sonant.models.families import FAMILIES

LARGEST_SIZE = 2**20  # of any width or kernel; beyond it a file is damaged
MOST_LAYERS = 1024  # of any kind; building more of them only to find that the file has fewer would take for ever


class _Misfit(ValueError):
    """A value that is not of the kind of its setting."""


def make_config(
    family: object, values: Mapping[str, Any], overrides: Mapping[str, Any] | None, *, source: object
) -> BackboneConfig:
    """The configuration of a family; `overrides` (field to value, and "family") win over what the file says.

    Raises:
        UnknownName: there is no such family or setting.
        ConfigurationError: a value of the wrong kind, from a damaged file or an override.
    """
    overrides = dict(overrides or {})
    family = overrides.pop("family", family)
    if not isinstance(family, str) or family not in FAMILIES:
        raise UnknownName("family", family, FAMILIES)
    kind: Any = FAMILIES[family].config
    known = [entry.name for entry in fields(kind)]
    for name in overrides:
        if name not in known:
            raise UnknownName(f"setting of {kind.__name__}", name, ["family", *known])
    given = {name: value for name, value in values.items() if name in known} | overrides
    return _make(kind, given, source=source)


def plain_settings(config: Any) -> dict[str, Any]:
    """A configuration as JSON can hold it: tuples as lists, configurations inside as objects."""
    return {entry.name: _plain(getattr(config, entry.name)) for entry in fields(config)}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return plain_settings(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _make(kind: Any, given: Mapping[str, Any], *, source: object) -> Any:
    hints = get_type_hints(kind)
    values = {}
    for entry in fields(kind):
        default = _default(entry)
        if entry.name not in given:
            if default is MISSING:
                raise ConfigurationError(f"{source}: {kind.__name__} needs {entry.name!r}, and nothing says it.")
            continue
        value = given[entry.name]
        try:
            values[entry.name] = _fit(value, hints[entry.name], default, source)
            if entry.name.endswith(("layers", "depth")) and value is not None and value > MOST_LAYERS:
                raise _Misfit
        except _Misfit:
            example = repr(default) if default not in (MISSING, None) else f"a value of type {entry.type}"
            raise ConfigurationError(
                f"{source}: {entry.name}={value!r:.80} makes no sense; expected something like {example:.200}. "
                "The file is damaged, or the override is wrong."
            ) from None
    return kind(**values)


def _default(entry: Field[Any]) -> Any:
    return entry.default if entry.default_factory is MISSING else entry.default_factory()


def _fit(value: Any, hint: Any, default: Any, source: object) -> Any:
    """Return the value in the type of its setting; _Misfit if it is of another kind or out of range."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _fit_any(value, inner, default, source)
    if origin is tuple:
        return _fit_tuple(value, inner, default, source)
    if is_dataclass(hint):
        if isinstance(value, Mapping):
            unknown = sorted(value.keys() - {entry.name for entry in fields(hint)})
            if unknown:
                raise _Misfit
            return _make(hint, value, source=source)
        fitting = isinstance(value, hint)  # type: ignore[arg-type]
    elif origin is Literal:
        fitting = any(type(value) is type(choice) and value == choice for choice in inner)
    elif hint is int:
        fitting = type(value) is int and _least(default) <= value <= LARGEST_SIZE
    elif hint is float:
        most = 1.0 if isinstance(default, float) and 0 <= default <= 1 else LARGEST_SIZE
        fitting = type(value) in (int, float) and 0 <= value <= most  # NaN is not
    else:
        fitting = type(value) is hint
    if not fitting:
        raise _Misfit
    return value


def _fit_any(value: Any, hints: tuple[Any, ...], default: Any, source: object) -> Any:
    for hint in hints:
        if hint is NoneType and value is None:
            return None
        if hint is not NoneType:
            try:
                return _fit(value, hint, default, source)
            except _Misfit:
                continue
    raise _Misfit


def _fit_tuple(value: Any, hints: tuple[Any, ...], default: Any, source: object) -> tuple[Any, ...]:
    if not isinstance(value, tuple | list) or len(value) > MOST_LAYERS:
        raise _Misfit
    example = default if isinstance(default, tuple) else ()
    if len(hints) == 2 and hints[1] is Ellipsis:
        like = min(example) if example and all(isinstance(item, int | float) for item in example) else None
        return tuple(_fit(item, hints[0], like, source) for item in value)
    if len(hints) != len(value):
        raise _Misfit
    examples = example if len(example) == len(value) else (None,) * len(value)
    return tuple(_fit(item, hint, like, source) for item, hint, like in zip(value, hints, examples, strict=True))


def _least(default: Any) -> int:
    """Return the least value of an integer setting: a size that is positive by default cannot be zero."""
    return 1 if isinstance(default, int) and default > 0 else 0

"""Frozen dataclasses changed from outside: by nested keys, from YAML, JSON or a command line."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass, replace
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Self, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from sonant.errors import ConfigurationError

T = TypeVar("T")
Check = Callable[[str, Any, Any], None]  # of a dotted key, the value that fits, and the value before


class Written(str):
    """A value as it is written on a command line.

    Attributes:
        value: as YAML reads the text. A field of text takes the text itself: `name=1.10` is no number, `adapter=no` no
            refusal, and a path may have " #" in it.
    """

    __slots__ = ("value",)
    value: Any

    def __new__(cls, text: str, value: Any) -> Self:
        """Make one of a text and what YAML reads in it."""
        made = super().__new__(cls, text)
        made.value = value
        return made


def read_yaml(path: Path) -> Mapping[str, Any]:
    """The keys of a YAML file.

    Raises:
        ConfigurationError: it cannot be read, or holds something other than keys.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"The settings in {path} cannot be read: {error}") from error
    if content is None:  # nothing but comments
        return {}
    if not isinstance(content, Mapping):
        raise ConfigurationError(f"{path} must hold keys with values, but holds {type(content).__name__}.")
    return content


def changed(config: T, changes: Mapping[str, Any], *, inside: str = "", check: Check = lambda *_: None) -> T:
    """A copy of a dataclass with some of its fields changed, all at once.

    Args:
        config: a frozen dataclass; its fields may be dataclasses, tuples of dataclasses and mappings to dataclasses.
        changes: values by the names of fields, nested as the dataclasses are; members of a tuple by number, or by their
            `name`. Where several dataclasses fit a field, `type` chooses one by the name of its class, with its
            defaults.
        inside: the dotted key of `config`, for messages.
        check: called with each value before a dataclass is made with it; raises ConfigurationError.

    Raises:
        ConfigurationError: an unknown key (the known ones are listed), or a value that does not fit.
    """
    if isinstance(config, tuple):
        names = [str(getattr(member, "name", number)) for number, member in enumerate(config)]
        members = list(config)
        for name, value in changes.items():
            key = _join(inside, name)
            number = _number(str(name), names, key)
            members[number] = _changed_group(members[number], value, key, check)
        return type(config)(members)
    kinds = get_type_hints(type(config))
    hints = {field.name: kinds[field.name] for field in fields(config)} if is_dataclass(config) else {}
    values = {}
    for name, value in changes.items():
        key = _join(inside, name)
        if name not in hints:
            raise _unknown(name, sorted(hints), key, deeper=_keys_called(name, config, inside))
        current = getattr(config, name)
        if is_dataclass(current) and isinstance(value, Mapping) and "type" in value:
            current = _of_type(value["type"], current, hints[name], f"{key}.type")
            value = {below: setting for below, setting in value.items() if below != "type"}  # noqa: PLW2901
        is_group = is_dataclass(current) or (isinstance(current, tuple) and isinstance(value, Mapping))
        values[name] = _changed_group(current, value, key, check) if is_group else fitting(value, hints[name], key)
        check(key, values[name], current)
    return replace(config, **values)  # type: ignore[type-var]


def together(config: object, changes: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Several changes of a dataclass as one, so that values that fit each other only are checked when all are in.

    Of two values for one field the later one counts. There is more than one change where a value for a whole field
    meets one for a part of it: each is checked by itself then.
    """
    joined: list[Mapping[str, Any]] = []
    for change in changes:
        named = _by_name(config, change)
        try:
            joined[-1:] = [_joined(joined[-1] if joined else {}, named)]
        except _Collision:
            joined.append(named)
    return joined


class _Collision(Exception):
    """A value for a whole field meets one for a part of it."""


def _joined(before: Mapping[str, Any], after: Mapping[str, Any]) -> Mapping[str, Any]:
    both = dict(before)
    for name, value in after.items():
        there = both.get(name, value)
        if isinstance(there, Mapping) != isinstance(value, Mapping):
            raise _Collision
        both[name] = _joined(there, value) if isinstance(value, Mapping) else value
    return both


def _by_name(config: object, change: Mapping[str, Any]) -> dict[str, Any]:
    """A change in which each member of a tuple goes by one name, be it called by that or by its number."""
    named: dict[str, Any] = {}
    for name, value in change.items():
        key, below = str(name), getattr(config, str(name), None)
        if isinstance(config, tuple):
            names = [str(getattr(member, "name", number)) for number, member in enumerate(config)]
            with suppress(ConfigurationError):  # an unknown one: `changed` says so
                number = _number(key, names, key)
                below = config[number]
                key = names[number] if names.index(names[number]) == number else str(number)
        named[key] = _by_name(below, value) if isinstance(value, Mapping) else value
    return named


def fitting(value: Any, kind: Any, key: str) -> Any:
    """The value as the annotated type.

    Raises:
        ConfigurationError: it does not fit; the message names the key and what was expected.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(value, Written) and origin not in (Union, UnionType):
        value = str(value) if kind in (str, Path) or value in arguments else value.value
    if isinstance(value, Mapping) or (value is None and origin is Mapping):
        return _fitting_mapping(value or {}, kind, key)
    if origin in (Union, UnionType):
        for option in arguments:
            with suppress(ConfigurationError):
                return fitting(value, option, key)
    elif origin is tuple and isinstance(value, list | tuple):
        members = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(members) == len(value):
            return tuple(fitting(item, member, key) for item, member in zip(value, members, strict=True))
    elif kind in (float, Decimal, str) and isinstance(value, int | float | str) and not isinstance(value, bool):
        # YAML reads 1e-3 as a string; and a decimal is exact only by way of its digits
        with suppress(ValueError, InvalidOperation):
            number = kind(str(value))
            if kind is not Decimal or number.is_finite():
                return number
    elif kind is Path and isinstance(value, str):
        return Path(value).expanduser()
    elif kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    elif any(value == choice and type(value) is type(choice) for choice in arguments) or type(value) is kind:
        return value
    raise ConfigurationError(f"{key}={value!r:.80} does not fit: expected {_words(kind)}.")


def _fitting_mapping(value: Mapping[str, Any], kind: Any, key: str) -> Any:
    """A mapping or dataclass where the type has one; values that are dataclasses are made from their defaults."""
    if isinstance(kind, type) and is_dataclass(kind):
        return _made(kind, value, key)
    if get_origin(kind) is not Mapping:
        deeper = [_unknown(name, [], _join(key, name)) for name in value]  # such as `count.deeper=1`
        raise next(iter(deeper), ConfigurationError(f"{key}={{}} does not fit: expected {_words(kind)}."))
    _, member = get_args(kind)
    has_fields = is_dataclass(member)
    return {
        str(name): _changed_group(member(), below, _join(key, name), lambda *_: None)
        if has_fields
        else fitting(below, member, _join(key, name))
        for name, below in value.items()
    }


def _made(kind: type, value: Mapping[str, Any], key: str) -> Any:
    """A dataclass with these fields, such as a new member of a tuple."""
    kinds, known = get_type_hints(kind), fields(kind)
    names = [field.name for field in known]
    if unknown := [name for name in value if name not in names]:
        raise _unknown(unknown[0], sorted(names), _join(key, unknown[0]))
    needed = [field.name for field in known if field.default is MISSING and field.default_factory is MISSING]
    if missing := [name for name in needed if name not in value]:
        raise ConfigurationError(f"{key}={dict(value)} lacks {', '.join(missing)}.")
    return kind(**{str(name): fitting(item, kinds[str(name)], _join(key, name)) for name, item in value.items()})


def _changed_group(config: Any, value: Any, key: str, check: Check) -> Any:
    if value is None:  # a YAML key all of whose lines below are commented out
        return config
    if type(value) is type(config) and is_dataclass(value):
        return value
    if not isinstance(value, Mapping):
        raise ConfigurationError(
            f"{key!r} names a whole group of settings; name one of them, such as {key}.{_first(config)}."
        )
    return changed(config, value, inside=key, check=check)


def _of_type(name: object, current: Any, kind: Any, key: str) -> Any:
    """Return a dataclass of the named class, one of those of the annotation: the current one, or one of defaults."""
    if name == type(current).__name__:
        return current
    known = {option.__name__: option for option in get_args(kind) if isinstance(option, type) and is_dataclass(option)}
    if name not in known:
        raise _unknown(name, sorted(known) or [type(current).__name__], key)
    return known[str(name)]()


def _number(name: str, names: list[str], key: str) -> int:
    if name in names:
        return names.index(name)
    if name.isdigit() and int(name) < len(names):
        return int(name)
    raise _unknown(name, names, key)


def _unknown(name: object, known: list[str], key: str, deeper: Iterable[str] = ()) -> ConfigurationError:
    listed = ", ".join(known) or "nothing further"
    near = [*deeper][:3] or get_close_matches(str(name), known, n=3)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return ConfigurationError(f"Unknown key {str(name)!r} in {key!r}.{hint} Known here: {listed}.")


def _keys_called(name: object, config: object, inside: str) -> Iterator[str]:
    """Yield the dotted keys below a dataclass or tuple whose last part is this name."""
    if is_dataclass(config):
        members = [(field.name, getattr(config, field.name)) for field in fields(config)]
    else:
        named = enumerate(config) if isinstance(config, tuple) else ()
        members = [(str(getattr(member, "name", number)), member) for number, member in named]
    for key, member in members:
        if key == name:
            yield _join(inside, key)
        yield from _keys_called(name, member, _join(inside, key))


def _join(inside: str, name: object) -> str:
    return f"{inside}.{name}" if inside else str(name)


def _first(config: Any) -> str:
    return fields(config)[0].name if is_dataclass(config) else "0"


WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    Decimal: "a number",
    str: "text",
    bool: "true or false",
    Path: "a path",
}


def _words(kind: Any) -> str:
    """A type, for people."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple:
        return f"a list of {_words(arguments[0])}" if arguments[-1] is Ellipsis else f"a list of {len(arguments)}"
    if origin is Literal:
        *others, last = map(str, arguments)
        return f"{', '.join(others)} or {last}" if others else last
    if origin in (Union, UnionType):
        return " or ".join(map(_words, arguments))
    if kind is NoneType:
        return "null"
    return WORDS.get(kind) or str(getattr(kind, "__name__", kind))

"""Parsing of command line values by the types of parameters."""

import types
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

BOOLEANS = ("true", "yes", "false", "no")
UNIONS = (Union, types.UnionType)
LISTS = (list, tuple, Sequence)


def parse(text: str, annotation: Any) -> Any:
    """Parse a value as a type: str, int, float, bool, Path, Literal, a union, or a list separated by commas.

    Members of a union are tried in order. Raises ValueError with the expected values.
    """
    try:
        return _parse(text, annotation)
    except ValueError:
        *others, last = _alternatives(annotation)
        expected = f"{', '.join(others)} or {last}" if others else last
        choices = [choice[1:-1] for choice in (*others, last) if choice.startswith("'")]
        near = get_close_matches(text, choices, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{text!r} does not fit.{hint} Expected {expected}.") from None


def _parse(text: str, annotation: Any) -> Any:
    origin, members = get_origin(annotation), get_args(annotation)
    if annotation in (str, Path) and not text:  # an empty path would be the current folder
        raise ValueError(text)
    if annotation in (str, Path, int, float):
        return annotation(text)
    if annotation is bool:
        return {"true": True, "yes": True, "false": False, "no": False}[_one_of(text.lower(), BOOLEANS)]
    if origin is Literal:
        return {str(choice): choice for choice in members}[_one_of(text, map(str, members))]
    if origin in UNIONS:
        for member in members:
            try:
                if member is not type(None):
                    return _parse(text, member)
            except ValueError:
                continue
        raise ValueError(text)
    if origin in LISTS:
        items = [_parse(part.strip(), members[0]) for part in text.split(",")]
        return tuple(items) if origin is tuple else items
    raise TypeError(f"A command line cannot carry a parameter of type {annotation!r}.")


def _one_of(text: str, known: Iterable[str]) -> str:
    if text in known:
        return text
    raise ValueError(text)


def _alternatives(annotation: Any) -> list[str]:
    """Describe the values that a type accepts."""
    origin, members = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return [f"'{choice}'" for choice in members]
    if origin in UNIONS:
        return [words for member in members if member is not type(None) for words in _alternatives(member)]
    if origin in LISTS:
        return [f"a list of {' or '.join(_alternatives(members[0]))} with commas"]
    return [{int: "a whole number", float: "a number", bool: "yes or no", Path: "a path"}.get(annotation, "text")]


def is_list(annotation: Any) -> bool:
    """Return whether a type is a list, perhaps optional: `list[str]`, `list[str] | None`."""
    members = get_args(annotation) if get_origin(annotation) in UNIONS else (annotation,)
    return all(get_origin(member) in LISTS for member in members if member is not type(None))


def placeholder(annotation: Any, name: str) -> str:
    """Return the placeholder of a value in the help: its choices, or the parameter's last word."""
    members = [member for member in get_args(annotation) if member is not type(None)]
    if get_origin(annotation) in UNIONS and len(members) == 1:
        return placeholder(members[0], name)
    if get_origin(annotation) is Literal:
        return "|".join(map(str, members))
    return name.strip("_").rpartition("_")[2].upper()

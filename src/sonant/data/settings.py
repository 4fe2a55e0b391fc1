"""Settings stored with the results of a run, so that results of different settings are not mixed."""

import json
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from sonant.data.files import atomic
from sonant.errors import ConfigurationError
from sonant.renamed_settings import present_settings

MOST_SHOWN = 12  # differences in a message


def write_or_check_settings(
    path: Path, settings: Mapping[str, Any], *, has_results: bool, may_differ: Collection[str] = ()
) -> None:
    """Check the settings against those of existing results, or write them if there are none.

    Args:
        path: JSON file of the settings.
        settings: nested JSON values.
        has_results: True if there are results.
        may_differ: dotted names of settings that may differ, with * as a wildcard.

    Raises:
        ConfigurationError: settings differ, or those of the results cannot be read.
    """
    if has_results:
        check_same_settings(path, read_settings(path), settings, may_differ=may_differ)
    else:
        write_settings(path, settings)


def write_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Write settings atomically."""
    with atomic(path) as draft:
        draft.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def read_settings(path: Path) -> dict[str, Any]:
    """Read the settings of existing results. Raises ConfigurationError if they are missing or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{path.parent} holds results, but {path.name}, which would say what made them, cannot be read ({error}). "
            "Write to another folder, or remove this one."
        ) from error
    if not isinstance(found, dict):
        raise ConfigurationError(f"{path} holds a JSON {type(found).__name__}; expected an object of settings.")
    return found


def check_same_settings(
    path: Path, before: Mapping[str, Any], now: Mapping[str, Any], *, may_differ: Collection[str] = ()
) -> None:
    """Raise ConfigurationError, with the differences, if settings differ from those of existing results."""
    differing = differences(present_settings(before), json.loads(json.dumps(now)), may_differ=may_differ)
    if differing:
        raise ConfigurationError(
            f"{path.parent} holds the results of a run with other settings ({described(differing, here='now')}). "
            "Repeat those settings to go on with it, or write to another folder."
        )


def differences(
    before: Mapping[str, Any], now: Mapping[str, Any], *, may_differ: Collection[str] = ()
) -> dict[str, tuple[Any, Any]]:
    """Return both values of each setting that differs, by dotted name; None for a missing one."""
    there, here = flat(before), flat(now)
    return {
        name: (there.get(name), here.get(name))
        for name in {**there, **here}
        if there.get(name) != here.get(name) and not any(fnmatchcase(name, pattern) for pattern in may_differ)
    }


def described(differing: Mapping[str, tuple[Any, Any]], *, here: str = "here") -> str:
    """Say differences in a message: each setting with both values."""
    lines = [f"{name}: there {theirs!r}, {here} {ours!r}" for name, (theirs, ours) in differing.items()]
    more = [f"and {len(lines) - MOST_SHOWN} more"] if len(lines) > MOST_SHOWN else []
    return "; ".join(lines[:MOST_SHOWN] + more)


def json_values(value: Any) -> Any:
    """Convert settings to JSON values: a dataclass to an object with its `type`, a tuple to a list."""
    if is_dataclass(value) and not isinstance(value, type):
        return {"type": type(value).__name__} | {
            each.name: json_values(getattr(value, each.name)) for each in fields(value)
        }
    if isinstance(value, Mapping):
        return {str(name): json_values(item) for name, item in value.items()}
    return [json_values(item) for item in value] if isinstance(value, tuple | list) else value


def flat(value: Any, inside: str = "") -> dict[str, Any]:
    """Flatten nested settings to dotted names; elements of a list are named by their `name`, if they have one."""
    if isinstance(value, list) and value and all(isinstance(item, dict) and "name" in item for item in value):
        value = {str(item["name"]): item for item in value}
    if not isinstance(value, Mapping) or not value:
        return {inside: value}
    return {
        name: setting
        for key, item in value.items()
        for name, setting in flat(item, f"{inside}.{key}" if inside else str(key)).items()
    }

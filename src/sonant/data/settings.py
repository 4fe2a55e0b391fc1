"""The settings that made a folder of results, kept beside them, so that results of two runs are never mixed."""

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


def settle(path: Path, settings: Mapping[str, Any], *, bound: bool, free: Collection[str] = ()) -> None:
    """Write the settings of a run, or make sure that they are those of the run that is there.

    Args:
        path: of the settings.
        settings: of this run, as JSON can hold them; they may be nested.
        bound: whether there are results that the settings must fit.
        free: settings that may differ, by dotted names; * stands for any part of one.

    Raises:
        ConfigurationError: the folder holds the results of other settings (it lists what differs), or results of which
            nothing says how they were made. Nothing is written then.
    """
    if bound:
        check_settled(path, read_settings(path), settings, free=free)
    else:
        write_settings(path, settings)


def write_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Write settings at once."""
    with atomic(path) as draft:
        draft.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def read_settings(path: Path) -> dict[str, Any]:
    """The settings that made the results beside them; ConfigurationError if nothing says so any longer."""
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


def check_settled(path: Path, before: Mapping[str, Any], now: Mapping[str, Any], *, free: Collection[str] = ()) -> None:
    """Raise ConfigurationError, which lists what differs, unless a file was made with the settings of now."""
    differing = differences(present_settings(before), json.loads(json.dumps(now)), free=free)
    if differing:
        lines = [f"{name}: there {there!r}, now {here!r}" for name, (there, here) in differing.items()]
        more = [f"and {len(lines) - MOST_SHOWN} more"] if len(lines) > MOST_SHOWN else []
        raise ConfigurationError(
            f"{path.parent} holds the results of a run with other settings ({'; '.join(lines[:MOST_SHOWN] + more)}). "
            "Repeat those settings to go on with it, or write to another folder."
        )


def differences(
    before: Mapping[str, Any], now: Mapping[str, Any], *, free: Collection[str] = ()
) -> dict[str, tuple[Any, Any]]:
    """The settings that differ, by dotted names, with both values; None stands for a setting that is not there."""
    there, here = _flat(before), _flat(now)
    return {
        name: (there.get(name), here.get(name))
        for name in {**there, **here}
        if there.get(name) != here.get(name) and not any(fnmatchcase(name, pattern) for pattern in free)
    }


def plain(value: Any) -> Any:
    """Settings as JSON can hold them: a dataclass as an object that names its `type`, a tuple as a list."""
    if is_dataclass(value) and not isinstance(value, type):
        return {"type": type(value).__name__} | {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, tuple | list) else value


def _flat(value: Any, inside: str = "") -> dict[str, Any]:
    """Nested settings by dotted names; members of a list by their `name` where they have one."""
    if isinstance(value, list) and value and all(isinstance(item, dict) and "name" in item for item in value):
        value = {str(item["name"]): item for item in value}
    if not isinstance(value, Mapping) or not value:
        return {inside: value}
    return {
        name: setting
        for key, item in value.items()
        for name, setting in _flat(item, f"{inside}.{key}" if inside else str(key)).items()
    }

"""Conversion between configurations and plain values, which may come from damaged files.

The annotation of a field gives the type of a setting, its default the least value.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from sonant.configuration import changed
from sonant.errors import ConfigurationError, UnknownName
from sonant.models import BackboneConfig
from sonant.models.families import FAMILIES, family_of

LARGEST_SIZE = 2**20  # of any width or kernel; larger values mean a damaged file
MOST_LAYERS = 1024  # larger values mean a damaged file, and take too long to build


def make_config(
    family: object, values: Mapping[str, Any], overrides: Mapping[str, Any] | None, *, source: object
) -> BackboneConfig:
    """Return the configuration of a family; `overrides` (field to value, and "family") replace values of the file.

    Raises:
        UnknownName: no such family or setting.
        ConfigurationError: a value of the wrong type, from a damaged file or an override.
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
    default = kind()
    try:
        for name in given:
            if given[name] is None and is_dataclass(getattr(default, name)):
                raise ConfigurationError(f"{name}=None does not fit: expected settings.")
        config: BackboneConfig = changed(default, given, check=_check_size)
    except ConfigurationError as error:
        raise ConfigurationError(f"{source}: {error} The file is damaged, or the override is wrong.") from error
    return config


def with_overrides(config: BackboneConfig, overrides: Mapping[str, Any] | None, *, source: object) -> BackboneConfig:
    """Return a configuration with other settings, as `make_config`."""
    return make_config(family_of(config).key, plain_settings(config), overrides, source=source)


def plain_settings(config: Any) -> dict[str, Any]:
    """Return a configuration as JSON data."""
    return {entry.name: _plain(getattr(config, entry.name)) for entry in fields(config)}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return plain_settings(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _check_size(key: str, value: Any, default: Any) -> None:
    """Raise ConfigurationError for a number out of range; a size with a positive default cannot be 0."""
    if isinstance(value, tuple):
        if len(value) > MOST_LAYERS:
            raise ConfigurationError(f"{key} holds {len(value)} numbers; expected at most {MOST_LAYERS}.")
        for item in value:
            _check_size(key, item, min(default, default=0))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        least = 1 if type(default) is int and default > 0 else 0
        most = 1 if isinstance(default, float) and 0 <= default <= 1 else LARGEST_SIZE
        if key.endswith(("layers", "depth")):
            most = MOST_LAYERS
        if not least <= value <= most:  # NaN is not
            raise ConfigurationError(f"{key}={value} does not fit: expected {least} to {most}.")

"""JSON in which every number is finite: orjson writes NaN and infinity as null."""

import math
from typing import Any

import orjson

from sonant.errors import NonFiniteStates


def finite_json(content: Any) -> bytes:
    """Serialize what a model made. Raises NonFiniteStates: a number in it is NaN or infinite."""
    _require_finite(content, "")
    return orjson.dumps(content)


def not_finite(place: str) -> NonFiniteStates:
    """Make the error for a number that is NaN or infinite."""
    return NonFiniteStates(
        f"{place} is not finite, though the states of the model are: its numbers are too large to be compared or "
        "pooled, as those of weights that do not belong to it may be. Nothing was charged."
    )


def _require_finite(value: Any, place: str) -> None:
    match value:
        case float():
            if not math.isfinite(value):
                raise not_finite(place)
        case dict():
            for name, member in value.items():
                _require_finite(member, f"{place}.{name}" if place else str(name))
        case list() | tuple():
            for index, member in enumerate(value):
                _require_finite(member, f"{place}[{index}]")

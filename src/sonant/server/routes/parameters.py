"""Validation of request parameters: unknown ones are refused, and errors name the parameter."""

import reprlib
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sonant.audio.arrays import MAX_CHANNELS
from sonant.server.errors import ApiError
from sonant.server.routes.bodies import RequestBody
from sonant.server.routes.long_text import LongText
from sonant.server.text_limits import too_long

MAX_ITEMS = 100  # of a list; no model here has as many layers


class Fields(BaseModel):
    """The fields of a body; unknown names are refused."""

    model_config = ConfigDict(extra="forbid")


class Parameters(Fields):
    """The parameters of a request to a model."""

    model: str = Field(min_length=1, max_length=200, description="The id of a model, as GET /v1/models lists it.")


ChannelNumber = Annotated[int, Field(ge=0, lt=MAX_CHANNELS)]


class ChannelParameters(Parameters):
    """The parameters of requests that may be answered channel by channel."""

    channel: ChannelNumber | Literal["mix", "all"] = Field(
        "mix",
        description="`mix`: the mean of a recording's channels. A number, counted from 0: that channel alone. `all`: "
        "one result for each channel; each counts (and costs) as a recording of its own.",
    )


P = TypeVar("P", bound=Fields)


def parameters(kind: type[P], body: RequestBody, recordings: Collection[str]) -> P:
    """Validate the parameters of a body; null is the same as nothing.

    Args:
        kind: model of the parameters.
        recordings: names of the fields that hold recordings.

    Raises ApiError: 400: a missing, unknown or invalid parameter.
    """
    known = [*kind.model_fields, *recordings]
    for name, _ in body.files:
        if name not in recordings:
            raise _unknown(name, known)
    given = {name: value for name, value in body.fields.items() if name not in recordings and value is not None}
    for name, value in given.items():
        _check_size(name, value)
    try:
        return kind.model_validate(given, strict=not body.is_form)  # a form holds numbers as text
    except ValidationError as error:
        raise _refused(error.errors(include_url=False, include_context=False), known) from None


def _check_size(name: str, value: Any) -> None:
    """Refuse a value whose validation would list thousands of errors, or that is long enough for a recording."""
    if isinstance(value, LongText) or (isinstance(value, list) and any(isinstance(one, LongText) for one in value)):
        raise too_long(name)
    if isinstance(value, list | dict) and len(value) > MAX_ITEMS:
        raise ApiError(
            400, "invalid_value", f"{name} has {len(value)} items; at most {MAX_ITEMS} are taken.", param=name[:100]
        )


def _refused(problems: Sequence[Mapping[str, Any]], known: Collection[str]) -> ApiError:
    """Make the error for the first invalid parameter; for a union, with one message for each of its types."""
    first = problems[0]
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return _unknown(name, known)
    if first["type"] == "missing":
        return ApiError(400, "missing_parameter", f"{name} is missing.", param=name)
    found = dict.fromkeys(problem["msg"] for problem in problems if problem["loc"][0] == name)
    expected = ", or ".join(message[:1].lower() + message[1:] for message in found)
    shown = reprlib.repr(first["input"])
    return ApiError(400, "invalid_value", f"{name} does not fit: {expected}. Given: {shown}.", param=name)


def _unknown(name: str, known: Collection[str]) -> ApiError:
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    hint = f" Did you mean {near[0]}?" if near else ""
    return ApiError(
        400,
        "unknown_parameter",
        f"There is no parameter {reprlib.repr(name)} here.{hint} Known: {', '.join(known)}. Nothing is ignored in "
        "silence, so that a slip of the pen does not give wrong results.",
        param=name[:100],
    )


def as_list(value: Any) -> Any:
    """Return a single field of a form as a list of one."""
    return [value] if isinstance(value, str) else value

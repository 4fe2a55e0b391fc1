"""Parts of the OpenAPI document: bodies as JSON and form, errors, authentication, working examples."""

import base64
import io
import wave
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, Field

from sonant.server.routes.parameters import Parameters


class ErrorDetail(BaseModel):
    message: str = Field(description="For people: what was given, what was expected, what to do.")
    type: str = Field(description="The class of error, in OpenAI's words.", examples=["invalid_request_error"])
    param: str | None = Field(description="What in the request it is about.", examples=["input[3]"])
    code: str = Field(description="For programs: it does not change.", examples=["invalid_audio"])


class Error(BaseModel):
    """The body of every error response."""

    error: ErrorDetail


class UsedSeconds(BaseModel):
    """The usage of a request, by duration."""

    type: Literal["duration"]
    seconds: float
    cost: str = Field(description="What was charged: a decimal number.", examples=["0.000024913"])


REQUEST_ID = {"x-request-id": {"description": "To tell the operator of the server.", "schema": {"type": "string"}}}
RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait, whole.", "schema": {"type": "integer", "minimum": 1}}}
REASONS: Mapping[int, str] = {
    400: "A parameter is missing, unknown or out of range, or a recording cannot be used. `param` says which.",
    401: "No key was given, or one that is not valid.",
    402: "The credit does not suffice.",
    403: "The key may not do this.",
    404: "There is no such model here (`model_not_found`).",
    409: "It contradicts what is stored: a name that is taken, vectors of other weights.",
    413: "The request, or a recording in it, is larger or longer than this server takes.",
    429: "Too many requests (`rate_limit_exceeded`), or the server is full (`server_is_overloaded`).",
    500: "An error of the server's own.",
    503: "The model is being loaded (`model_loading`), the server stops (`server_is_draining`), or its database does "
    "not answer (`database_unavailable`).",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Make the `responses` of a route for these statuses."""
    return {
        status: {
            "model": Error,
            "description": REASONS[status],
            "headers": REQUEST_ID | (RETRY_AFTER if status in {429, 503} else {}),
        }
        for status in statuses
    }


COSTLY = errors(*(status for status in REASONS if status != 409))
ENROLLMENT = errors(*REASONS)


def success(model: type[BaseModel], others: Mapping[str, Any] | None = None) -> dict[int | str, dict[str, Any]]:
    """Make the `responses` for 200: JSON, and other media types that a request may ask for."""
    return {200: {"model": model, "description": "Done.", "headers": REQUEST_ID, "content": dict(others or {})}}


def text(description: str) -> dict[str, Any]:
    """Describe a media type that is plain text."""
    return {"schema": {"type": "string", "description": description}}


NULL = {"type": "null"}
TEXT = {
    "type": "string",
    "minLength": 1,
    "title": "Text",
    "description": "Base64 of an audio file, a data URI (`data:audio/wav;base64,...`), or an http(s) address on a host "
    "that the server allows.",
}
PARTS: list[dict[str, Any]] = [
    {
        "properties": {
            "type": {"const": "input_audio"},
            "input_audio": {
                "type": "object",
                "properties": {"data": {"type": "string"}, "format": {"type": "string"}},
                "required": ["data"],
            },
        },
        "required": ["input_audio"],
    },
    {
        "properties": {
            "type": {"const": "audio_url"},
            "audio_url": {"type": "object", "properties": {"url": {"type": "string"}}, "required": ["url"]},
        },
        "required": ["audio_url"],
    },
    {"properties": {"audio": {"type": "string"}}, "required": ["audio"]},
]
CONTENT = {
    "type": "array",
    "minItems": 1,
    "maxItems": 1,
    "items": {"anyOf": [TEXT, {"type": "object", "anyOf": PARTS}]},
}
PART = {
    "type": "object",
    "title": "Content part",
    "description": "A recording as part of a message, or such a part as the only one in `content`.",
    "anyOf": [*PARTS, {"properties": {"content": CONTENT}, "required": ["content"]}],
}
ONE_RECORDING = {"anyOf": [TEXT, PART]}
RECORDINGS = {"anyOf": [TEXT, PART, {"type": "array", "minItems": 1, "items": ONE_RECORDING, "title": "Several"}]}
FILE = {"type": "string", "format": "binary", "description": "An audio file: wav, flac, ogg, opus, mp3, m4a, webm."}
FILES = {"type": "array", "minItems": 1, "items": FILE}


def body(
    parameters: type[Parameters],
    *,
    json: Mapping[str, Any],
    form: Mapping[str, Any],
    example: Mapping[str, Any],
) -> dict[str, Any]:
    """Make the `openapi_extra` of a route that takes JSON and forms.

    Args:
        parameters: model of all parameters but the recordings.
        json: schemas of the fields with recordings, in JSON.
        form: the same in a form.
        example: values of an example request in JSON, without recordings.
    """
    schema = inlined(parameters)
    recording = dict.fromkeys(json, spoken())
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": _with(schema, json, nullable=True),
                    "examples": {"recording": {"summary": "A data URI", "value": {**example, **recording}}},
                },
                "multipart/form-data": {"schema": _with(schema, form, nullable=False)},
            },
        }
    }


def _with(schema: Mapping[str, Any], fields: Mapping[str, Any], *, nullable: bool) -> dict[str, Any]:
    """Add the fields with recordings; optional parameters may be null, which means their default, or must not be."""
    required = schema.get("required", [])
    properties = {
        name: value if name in required else _optional(value, nullable=nullable)
        for name, value in schema["properties"].items()
    }
    return {**schema, "properties": {**fields, **properties}, "required": [*fields, *required]}


def _optional(value: Mapping[str, Any], *, nullable: bool) -> dict[str, Any]:
    about = {key: value[key] for key in ("title", "description", "default") if value.get(key) is not None}
    kind = {key: inner for key, inner in value.items() if key not in ("title", "description", "default")}
    options = [option for option in kind.get("anyOf", [kind]) if option != NULL]
    options += [NULL] if nullable else []
    return {**about, **({"anyOf": options} if len(options) > 1 else options[0])}


def inlined(model: type[BaseModel]) -> dict[str, Any]:
    """Make the JSON schema of a model with references resolved."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def resolved(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return resolved(definitions[value["$ref"].rpartition("/")[2]])
            return {key: resolved(inner) for key, inner in value.items()}
        return [resolved(inner) for inner in value] if isinstance(value, list) else value

    return resolved(schema)


@cache
def spoken(seconds: float = 0.5, rate: int = 8000) -> str:
    """Make a data URI for examples: a synthesized vowel, 8-bit WAV."""
    time = np.arange(int(seconds * rate)) / rate
    harmonics = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 9))  # a falling spectrum, like a voice
    samples = np.uint8(128 + 40 * harmonics)
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(1)
        writer.setframerate(rate)
        writer.writeframes(samples.tobytes())
    return f"data:audio/wav;base64,{base64.b64encode(file.getvalue()).decode()}"

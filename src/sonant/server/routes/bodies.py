"""Parsing of request bodies: JSON or multipart forms, in memory only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from sonant.server.errors import ApiError
from sonant.server.settings import Limits

MAX_FIELDS = 128  # of a form, without files; endpoints know at most a dozen
BASE64_GROWTH = 1.4  # base64 is a third longer, and may have line breaks


@dataclass(frozen=True)
class RequestBody:
    """The parsed body of a request.

    Attributes:
        fields: members of the JSON object, or text fields of a form: a string, or a list of strings where a name is
            repeated or ends in [] (which is removed from the name).
        files: the files of a form with their field names (without []), in order.
        is_form: whether it is a form, in which every value is text.
    """

    fields: Mapping[str, Any]
    files: tuple[tuple[str, bytes], ...] = ()
    is_form: bool = False


async def receive(request: Request, limits: Limits) -> RequestBody:
    """Read the body of a request.

    Raises ApiError: 400 if it is neither a JSON object nor a form; 413 if a file of it is too large; 499 if the client
    went away.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "multipart/form-data":
            return await _form(request, limits)
        if kind in {"", "application/json"} or kind.endswith("+json"):
            return _json(await request.body())
    except ClientDisconnect:
        raise ClientGone from None
    raise ApiError(
        400,
        "unsupported_content_type",
        f"The body is labeled {kind}; expected application/json, or multipart/form-data with files. "
        "Set the header Content-Type (curl: -H 'Content-Type: application/json', or -F for files).",
    )


class ClientGone(ApiError):
    """The response after the client has disconnected, which is only seen in logs and metrics."""

    def __init__(self) -> None:
        super().__init__(499, "client_closed_request", "The client closed the connection before it was answered.")


def _json(body: bytes) -> RequestBody:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        told = "It is empty." if not body else f"At character {error.pos}: {error.msg}."
        raise ApiError(400, "invalid_json", f"The body is not JSON. {told}") from None
    if not isinstance(value, dict):
        raise ApiError(
            400, "invalid_json", f"The body is a JSON {_json_type(value)}; expected an object with the parameters."
        )
    return RequestBody(value)


def _json_type(value: Any) -> str:
    names = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


async def _form(request: Request, limits: Limits) -> RequestBody:
    try:
        form = await _InMemory(request, limits).parse()
    except MultiPartException as error:
        raise ApiError(
            400,
            "invalid_multipart",
            f"The body is labeled multipart/form-data, and cannot be read as that: {error.message} If it is JSON, "
            "set Content-Type: application/json. If it is a form, do not set the header by hand: the client that "
            "writes the parts knows the boundary between them.",
        ) from None
    fields: dict[str, Any] = {}
    files: list[tuple[str, bytes]] = []
    for key, value in form.multi_items():
        name = key.removesuffix("[]")
        if isinstance(value, UploadFile):
            files.append((name, await value.read()))
            await value.close()
        elif key.endswith("[]") or name in fields:
            before = fields.get(name, [])
            fields[name] = [*(before if isinstance(before, list) else [before]), value]
        else:
            fields[name] = value
    return RequestBody(fields, tuple(files), is_form=True)


class _InMemory(MultiPartParser):
    """The multipart parser of Starlette, with files in memory up to a limit."""

    def __init__(self, request: Request, limits: Limits) -> None:
        super().__init__(
            request.headers,
            request.stream(),
            max_files=limits.inputs,
            max_fields=MAX_FIELDS,
            max_part_size=int(limits.audio_bytes * BASE64_GROWTH),
        )
        self.audio_bytes = limits.audio_bytes
        self.spool_max_size = limits.audio_bytes + (1 << 20)

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        super().on_part_data(data, start, end)
        file = self._current_part.file
        if file is not None and (file.size or 0) + end - start > self.audio_bytes:
            raise too_many_bytes(self._current_part.field_name.removesuffix("[]"), self.audio_bytes)


def too_many_bytes(param: str, limit: int) -> ApiError:
    """Make the error for an encoded recording that exceeds the limit."""
    return ApiError(
        413,
        "audio_too_large",
        f"The recording in {param} is larger than {limit} bytes. Compress it (FLAC, Opus), or send it in pieces.",
        param=param,
    )

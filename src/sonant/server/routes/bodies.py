"""Parsing of request bodies: JSON or multipart forms, in memory only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from starlette.requests import ClientDisconnect

from sonant.server.errors import ApiError
from sonant.server.routes.json_reader import JsonReader
from sonant.server.routes.multipart import MultipartReader
from sonant.server.settings import Limits


@dataclass(frozen=True)
class RequestBody:
    """The parsed body of a request.

    Attributes:
        fields: members of the JSON object, or text fields of a form: a string, or a list of strings where a name is
            repeated or ends in [] (which is removed from the name). Strings longer than a text are `LongText`.
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
            return await _json(request, limits)
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


async def _json(request: Request, limits: Limits) -> RequestBody:
    reader = JsonReader(limits.inputs)
    async for chunk in request.stream():
        reader.feed(chunk)
    return RequestBody(reader.finish())


async def _form(request: Request, limits: Limits) -> RequestBody:
    reader = MultipartReader(request.headers["content-type"], limits)
    async for chunk in request.stream():
        reader.feed(chunk)
    fields: dict[str, Any] = {}
    files: list[tuple[str, bytes]] = []
    for key, value in reader.finish():
        name = key.removesuffix("[]")
        if isinstance(value, bytes):
            files.append((name, value))
        elif key.endswith("[]") or name in fields:
            before = fields.get(name, [])
            fields[name] = [*(before if isinstance(before, list) else [before]), value]
        else:
            fields[name] = value
    return RequestBody(fields, tuple(files), is_form=True)

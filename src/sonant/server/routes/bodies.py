"""Parsing of request bodies: JSON or multipart forms, in memory only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from sonant.server.errors import ApiError
from sonant.server.routes.json_reader import JsonReader
from sonant.server.routes.long_text import LongText
from sonant.server.settings import Limits
from sonant.server.text_limits import FIELDS, TEXT_BYTES, check_text

BASE64_GROWTH = 1.4  # base64 is a third longer, and may have line breaks


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
        name = check_text(key, "a name in the form").removesuffix("[]")
        if isinstance(value, UploadFile):
            files.append((name, await value.read()))
            await value.close()
            continue
        text = value if isinstance(value, LongText) else check_text(value, name)
        if key.endswith("[]") or name in fields:
            before = fields.get(name, [])
            fields[name] = [*(before if isinstance(before, list) else [before]), text]
        else:
            fields[name] = text
    return RequestBody(fields, tuple(files), is_form=True)


class _InMemory(MultiPartParser):
    """The multipart parser of Starlette, with files in memory up to a limit, and long texts as bytes."""

    def __init__(self, request: Request, limits: Limits) -> None:
        super().__init__(
            request.headers,
            request.stream(),
            max_files=limits.inputs,
            max_fields=FIELDS,
            max_part_size=int(limits.audio_bytes * BASE64_GROWTH),
        )
        self.audio_bytes = limits.audio_bytes
        self.spool_max_size = limits.audio_bytes + (1 << 20)

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        super().on_part_data(data, start, end)
        file = self._current_part.file
        if file is not None and (file.size or 0) + end - start > self.audio_bytes:
            raise too_many_bytes(self._current_part.field_name.removesuffix("[]"), self.audio_bytes)

    def on_part_end(self) -> None:
        part = self._current_part
        if part.file is None and len(part.data) > TEXT_BYTES:
            self.items.append((part.field_name, LongText(part.data, is_json=False)))  # type: ignore[arg-type]
        else:
            super().on_part_end()


def too_many_bytes(param: str, limit: int) -> ApiError:
    """Make the error for an encoded recording that exceeds the limit."""
    return ApiError(
        413,
        "audio_too_large",
        f"The recording in {param} is larger than {limit} bytes. Compress it (FLAC, Opus), or send it in pieces.",
        param=param,
    )

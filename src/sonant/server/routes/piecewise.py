"""Responses that are written while they are sent."""

import asyncio
import binascii
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
from fastapi import Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

SMALL = 1 << 18  # bytes of arrays up to which all is written at once
TOGETHER = 1 << 18  # bytes of one message
BYTES_A_TIMEOUT = 4 << 20  # of arrays, for which a client has `send_seconds` more


def json_list(items: Iterable[Iterable[bytes]], rest: Mapping[str, Any]) -> Iterator[bytes]:
    """Write a list of OpenAI's kind as JSON: the items, each given in pieces, as `data`, and the rest."""
    yield b'{"object":"list","data":['
    for number, item in enumerate(items):
        if number:
            yield b","
        yield from item
    yield b"]," + orjson.dumps(rest)[1:]


def base64_of(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Write bytes as base64, in pieces."""
    rest = b""
    for piece in pieces:
        data = rest + piece
        whole = len(data) - len(data) % 3  # bytes that need no padding
        rest = data[whole:]
        yield binascii.b2a_base64(data[:whole], newline=False)
    yield binascii.b2a_base64(rest, newline=False)


class PiecewiseResponse(Response):
    """A response of pieces, made while they are sent: of the vectors of an hour of speech only the vectors are held.

    A client that reads too slowly is cut off. Small responses are made at once, and have a content-length.

    Args:
        pieces: of the body.
        held_bytes: of the arrays that are written.
        send_seconds: that a client has to read `BYTES_A_TIMEOUT` of the arrays, and the response besides.
        media_type: of the body.
        length: of the body in bytes, if it is known.
    """

    def __init__(
        self,
        pieces: Iterable[bytes],
        *,
        held_bytes: int,
        send_seconds: float,
        media_type: str = "application/json",
        length: int | None = None,
    ) -> None:
        super().__init__(media_type=media_type)
        del self.headers["content-length"]
        if length is not None:
            self.headers["content-length"] = str(length)
        self.held_bytes = held_bytes
        self._seconds = send_seconds * (1 + held_bytes / BYTES_A_TIMEOUT)
        self._is_small = held_bytes <= SMALL
        if self._is_small:
            pieces = list(pieces)
            self.headers["content-length"] = str(sum(map(len, pieces)))
        self._messages = _joined(pieces)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        try:
            async with asyncio.timeout(self._seconds):
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                while message := await self._next():
                    await send({"type": "http.response.body", "body": message, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            scope.setdefault("state", {})["error_code"] = "answer_read_too_slowly"
            raise ClientDisconnect from None

    async def _next(self) -> bytes:
        if self._is_small:
            return next(self._messages, b"")
        return await asyncio.to_thread(next, self._messages, b"")


def _joined(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join small pieces to messages."""
    small: list[bytes] = []
    size = 0
    for piece in pieces:
        small.append(piece)
        size += len(piece)
        if size >= TOGETHER:
            yield b"".join(small)
            small, size = [], 0
    if size:
        yield b"".join(small)

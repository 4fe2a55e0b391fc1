"""Arrays as JSON, numbers or base64 of little-endian float32, written while they are sent."""

import asyncio
import binascii
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import numpy as np
import orjson
from fastapi import Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from sonant.server.routes.finite_json import not_finite

Encoding = Literal["float", "base64"]

PIECE = 3 << 14  # numbers converted to text in one call, which holds the GIL: a few milliseconds
SMALL = 1 << 18  # bytes of arrays up to which all is written at once
TOGETHER = 1 << 18  # bytes of one message
BYTES_A_TIMEOUT = 4 << 20  # of arrays, for which a client has `send_seconds` more


async def check_finite(arrays: Sequence[np.ndarray]) -> None:
    """Raise NonFiniteStates if a number is NaN or infinite, for which JSON has no word."""
    if sum(array.nbytes for array in arrays) <= SMALL:
        _check_finite(arrays)
    else:
        await asyncio.to_thread(_check_finite, arrays)


def _check_finite(arrays: Sequence[np.ndarray]) -> None:
    if not all(np.isfinite(array).all() for array in arrays):
        raise not_finite("A vector")


def as_json(array: np.ndarray, encoding: Encoding) -> Iterator[bytes]:
    """Write an array as JSON, nested lists or a base64 string, in pieces."""
    written = _base64 if encoding == "base64" else _numbers
    yield from written(np.ascontiguousarray(array, dtype="<f4"))


def _base64(array: np.ndarray) -> Iterator[bytes]:
    numbers = array.reshape(-1)  # a view
    yield b'"'
    for start in range(0, len(numbers), PIECE):  # a multiple of 3 numbers needs no padding
        yield binascii.b2a_base64(numbers[start : start + PIECE].data, newline=False)
    yield b'"'


def _numbers(array: np.ndarray) -> Iterator[bytes]:
    if array.ndim > 2:
        for index, inner in enumerate(array):
            yield b"," if index else b"["
            yield from _numbers(inner)
        yield b"]" if len(array) else b"[]"
        return
    rows = max(1, PIECE // max(1, math.prod(array.shape[1:])))
    for start in range(0, len(array), rows):
        yield b"," if start else b"["
        yield orjson.dumps(array[start : start + rows], option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
    yield b"]" if len(array) else b"[]"


class VectorsResponse(Response):
    """A response of JSON pieces, made while they are sent: of vectors of an hour of speech only the vectors are held.

    A client that reads too slowly is cut off. Small responses are made at once, and have a content-length.

    Args:
        pieces: of JSON.
        held_bytes: of the arrays that are written.
        send_seconds: that a client has to read `BYTES_A_TIMEOUT` of the arrays, and the response besides.
    """

    media_type = "application/json"

    def __init__(self, pieces: Iterable[bytes], *, held_bytes: int, send_seconds: float) -> None:
        super().__init__()
        del self.headers["content-length"]
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

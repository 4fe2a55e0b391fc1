"""Arrays as JSON: numbers, or base64 of little-endian float32, encoded in pieces so that other tasks can run."""

import asyncio
import binascii
import math
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import orjson
from fastapi import Response
from starlette.types import Receive, Scope, Send

from sonant.server.routes.finite_json import not_finite

Encoding = Literal["float", "base64"]

PIECE = 3 << 14  # numbers converted to text in one call, which holds the GIL: a few milliseconds
SMALL = 1 << 16  # numbers up to which no thread is used


async def as_json(arrays: Sequence[np.ndarray], encoding: Encoding) -> list[list[bytes]]:
    """Encode each array as JSON, nested lists or a base64 string, in pieces.

    Raises NonFiniteStates: a number is NaN or infinite.
    """
    if sum(array.size for array in arrays) <= SMALL:
        return _as_json(arrays, encoding)
    return await asyncio.to_thread(_as_json, arrays, encoding)


def _as_json(arrays: Sequence[np.ndarray], encoding: Encoding) -> list[list[bytes]]:
    written = _base64 if encoding == "base64" else _numbers
    for array in arrays:
        if not np.isfinite(array).all():
            raise not_finite("A vector")
    return [list(written(np.ascontiguousarray(array, dtype="<f4"))) for array in arrays]


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


class PiecesResponse(Response):
    """A response of JSON pieces that are sent without joining them, since vectors of an hour of speech are large."""

    media_type = "application/json"
    TOGETHER = 1 << 18  # bytes of one message

    def __init__(self, pieces: Sequence[bytes]) -> None:
        super().__init__()
        self.headers["content-length"] = str(sum(map(len, pieces)))
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for message in self._messages():
            await send({"type": "http.response.body", "body": message, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _messages(self) -> Iterator[bytes]:
        small: list[bytes] = []
        size = 0
        for piece in self._pieces:
            small.append(piece)
            size += len(piece)
            if size >= self.TOGETHER:
                yield b"".join(small)
                small, size = [], 0
        yield b"".join(small)

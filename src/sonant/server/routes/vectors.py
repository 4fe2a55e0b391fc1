"""Arrays as JSON: numbers, or base64 of little-endian float32; a piece at a time, so that others get their turn."""

import asyncio
import binascii
import math
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import orjson

Encoding = Literal["float", "base64"]

PIECE = 3 << 16  # numbers turned into text in one call, which holds the interpreter: a few milliseconds
SMALL = 1 << 16  # numbers that are not worth a thread


async def fragments(arrays: Sequence[np.ndarray], encoding: Encoding) -> list[orjson.Fragment]:
    """Each array as a piece of JSON: nested lists, or a string."""
    if sum(array.size for array in arrays) <= SMALL:
        return _fragments(arrays, encoding)
    return await asyncio.to_thread(_fragments, arrays, encoding)


def _fragments(arrays: Sequence[np.ndarray], encoding: Encoding) -> list[orjson.Fragment]:
    made = _base64 if encoding == "base64" else _numbers
    return [orjson.Fragment(b"".join(made(np.ascontiguousarray(array, dtype="<f4")))) for array in arrays]


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

"""Arrays as JSON, numbers or base64 of little-endian float32, in pieces."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import orjson

from sonant.server.routes.finite_json import not_finite
from sonant.server.routes.piecewise import SMALL, base64_of

Encoding = Literal["float", "base64"]

PIECE = 3 << 14  # numbers converted to text in one call, which holds the GIL: a few milliseconds


async def check_finite(arrays: Sequence[np.ndarray], what: str = "A vector") -> None:
    """Raise NonFiniteStates if a number is NaN or infinite, for which JSON has no word; `what`: it is in."""
    if sum(array.nbytes for array in arrays) <= SMALL:
        _check_finite(arrays, what)
    else:
        await asyncio.to_thread(_check_finite, arrays, what)


def _check_finite(arrays: Sequence[np.ndarray], what: str) -> None:
    if not all(np.isfinite(array).all() for array in arrays):
        raise not_finite(what)


def as_json(array: np.ndarray, encoding: Encoding) -> Iterator[bytes]:
    """Write an array as JSON, nested lists or a base64 string, in pieces."""
    written = _base64 if encoding == "base64" else _numbers
    yield from written(np.ascontiguousarray(array, dtype="<f4"))


def _base64(array: np.ndarray) -> Iterator[bytes]:
    numbers = array.reshape(-1)  # a view
    yield b'"'
    yield from base64_of(numbers[start : start + PIECE].tobytes() for start in range(0, len(numbers), PIECE))
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

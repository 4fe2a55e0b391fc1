"""Responses in pieces are sent as they are made; lists and base64 are what they are as a whole."""

import asyncio
import base64
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Send

from sonant.server.routes import piecewise


@pytest.mark.parametrize("sizes", [[], [0], [1], [2, 2, 2], [58, 100, 1], [3, 0, 4]])
def test_base64_of_pieces_is_that_of_the_whole(sizes: list[int]) -> None:
    pieces = [bytes(range(size)) for size in sizes]
    assert b"".join(piecewise.base64_of(pieces)) == base64.b64encode(b"".join(pieces))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_lists_are_json(count: int) -> None:
    items = [[b"{", str(number).encode().join([b'"n":', b"}"])] for number in range(count)]
    written = orjson.loads(b"".join(piecewise.json_list(items, {"model": "m"})))
    assert written == {"object": "list", "data": [{"n": number} for number in range(count)], "model": "m"}


def _sent(pieces: Iterable[bytes], *, send: Send | None = None, **how: Any) -> list[Any]:
    sent: list[Any] = []

    async def note(message: Any) -> None:
        sent.append(message)

    response = piecewise.PiecewiseResponse(pieces, **{"held_bytes": 0, "send_seconds": 10.0} | how)
    asyncio.run(response({"type": "http"}, None, send or note))  # type: ignore[arg-type]
    return sent


@pytest.mark.parametrize("held_bytes", [0, piecewise.SMALL + 1])
@pytest.mark.parametrize("sizes", [[1], [10, 0, 3], [1 << 18, 5, 1 << 19], [1000] * 1000])
def test_pieces_are_sent_as_they_are(sizes: list[int], held_bytes: int) -> None:
    pieces = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    start, *bodies = _sent(iter(pieces), held_bytes=held_bytes)
    assert b"".join(body["body"] for body in bodies) == b"".join(pieces)
    length = dict(start["headers"]).get(b"content-length")
    assert length == (None if held_bytes else str(sum(sizes)).encode())
    start, *_ = _sent(iter(pieces), held_bytes=held_bytes, length=sum(sizes), media_type="audio/wav")
    assert dict(start["headers"]) == {b"content-length": str(sum(sizes)).encode(), b"content-type": b"audio/wav"}
    assert [body["more_body"] for body in bodies] == [True] * (len(bodies) - 1) + [False]


def test_large_answers_are_written_while_they_are_sent() -> None:
    made = 0

    def pieces() -> Iterator[bytes]:
        nonlocal made
        for _ in range(10):
            made += 1
            yield bytes(piecewise.TOGETHER)

    ahead: list[int] = []

    async def send(message: Any) -> None:
        ahead.append(made)

    _sent(pieces(), send=send, held_bytes=piecewise.SMALL + 1)
    assert ahead == [*range(11), 10]


def test_a_client_that_does_not_read_is_left_after_a_while() -> None:
    async def never(_: Any) -> None:
        await asyncio.Event().wait()

    with pytest.raises(ClientDisconnect):
        _sent([b"{}"], send=never, send_seconds=0.05)

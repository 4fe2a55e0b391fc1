"""Arrays as JSON say exactly what they hold, in pieces of any size."""

import asyncio
import base64
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import orjson
import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Send

from sonant.server.routes import vectors

SHAPES = [(1,), (256,), (7, 3), (2, 5, 3), (0, 4), (3, 0, 4), (2, 700, 256)]


def _json(array: np.ndarray, encoding: vectors.Encoding) -> Any:
    return orjson.loads(b"".join(vectors.as_json(array, encoding)))


@pytest.fixture(params=[12, vectors.PIECE])
def piece(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "PIECE", request.param)


@pytest.mark.usefixtures("piece")
@pytest.mark.parametrize("shape", SHAPES)
def test_both_encodings_are_exact(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    told = _json(array, "float")
    assert np.array_equal(np.array(told, dtype=np.float32).reshape(shape), array)
    assert told == array.tolist() or np.allclose(told, array.tolist())
    packed = _json(array, "base64")
    assert packed == base64.b64encode(array.astype("<f4").tobytes()).decode()


def test_strides_do_not_matter() -> None:
    array = np.arange(24, dtype=np.float32).reshape(4, 6)[:, ::2]
    assert _json(array, "float") == array.tolist()
    assert np.array_equal(np.frombuffer(base64.b64decode(_json(array, "base64")), "<f4"), array.ravel())


def _sent(pieces: Iterable[bytes], *, send: Send | None = None, **how: Any) -> list[Any]:
    sent: list[Any] = []

    async def note(message: Any) -> None:
        sent.append(message)

    response = vectors.VectorsResponse(pieces, **{"held_bytes": 0, "send_seconds": 10.0} | how)
    asyncio.run(response({"type": "http"}, None, send or note))  # type: ignore[arg-type]
    return sent


@pytest.mark.parametrize("held_bytes", [0, vectors.SMALL + 1])
@pytest.mark.parametrize("sizes", [[1], [10, 0, 3], [1 << 18, 5, 1 << 19], [1000] * 1000])
def test_pieces_are_sent_as_they_are(sizes: list[int], held_bytes: int) -> None:
    pieces = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    start, *bodies = _sent(iter(pieces), held_bytes=held_bytes)
    assert b"".join(body["body"] for body in bodies) == b"".join(pieces)
    length = dict(start["headers"]).get(b"content-length")
    assert length == (None if held_bytes else str(sum(sizes)).encode())
    assert [body["more_body"] for body in bodies] == [True] * (len(bodies) - 1) + [False]


def test_large_answers_are_written_while_they_are_sent() -> None:
    made = 0

    def pieces() -> Iterator[bytes]:
        nonlocal made
        for _ in range(10):
            made += 1
            yield bytes(vectors.TOGETHER)

    ahead: list[int] = []

    async def send(message: Any) -> None:
        ahead.append(made)

    _sent(pieces(), send=send, held_bytes=vectors.SMALL + 1)
    assert ahead == [*range(11), 10]


def test_a_client_that_does_not_read_is_left_after_a_while() -> None:
    async def never(_: Any) -> None:
        await asyncio.Event().wait()

    with pytest.raises(ClientDisconnect):
        _sent([b"{}"], send=never, send_seconds=0.05)

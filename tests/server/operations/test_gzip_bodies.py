"""A compressed body is the body, whatever its pieces; its limits are those of what it becomes."""

import asyncio
import gzip
import json
import zlib

import pytest
from starlette.requests import Request
from starlette.types import Message

from sonant.server.errors import ApiError
from sonant.server.operations.body_limits import BodyLimits
from sonant.server.operations.gzip_bodies import GZIP, PIECE, GzipBodies
from tests.server.operations.standing import answer, connect, standing
from tests.server.operations.test_body_limits import Reader, code_of, services_with, wait_until_idle

TEXT = json.dumps(list(range(200_000))).encode()


def _body(sent: bytes, *, piece: int = 1 << 16, encoding: str = "gzip") -> tuple[bytes, int]:
    """The body as an application reads it, and its largest chunk."""
    chunks = [sent[start : start + piece] for start in range(0, len(sent), piece)] or [b""]
    messages = iter([{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks])
    end: Message = {"type": "http.request", "body": b"", "more_body": False}
    read: list[bytes] = []

    async def receive() -> Message:
        return next(messages, end)

    async def app(scope: dict[str, object], receive: object, _send: object) -> None:
        assert b"content-length" not in dict(scope["headers"])  # type: ignore[call-overload]
        read.extend([chunk async for chunk in Request(scope, receive).stream()])  # type: ignore[arg-type]

    headers = [(b"content-encoding", encoding.encode()), (b"content-length", b"%d" % len(sent))]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    asyncio.run(GzipBodies(app)(scope, receive, None))  # type: ignore[arg-type]
    return b"".join(read), max(map(len, read))


@pytest.mark.parametrize("piece", [1, 1000, 1 << 20])
def test_it_is_the_body(piece: int) -> None:
    assert _body(gzip.compress(TEXT), piece=piece)[0] == TEXT
    assert _body(gzip.compress(b""), piece=piece)[0] == b""


@pytest.mark.parametrize("piece", [1, 1000, 1 << 20])
def test_members_one_behind_another_are_one_body(piece: int) -> None:
    """As parallel compressors write them."""
    members = [TEXT[:100], b"", TEXT[100:50_000], TEXT[50_000:]]
    assert _body(b"".join(map(gzip.compress, members)), piece=piece)[0] == TEXT


def test_a_body_that_becomes_next_to_nothing_ends() -> None:
    """Empty blocks, of which a limit on what they become would see nothing."""
    stream = zlib.compressobj(wbits=GZIP)
    sent = stream.compress(b"x") + stream.flush(zlib.Z_SYNC_FLUSH) + b"\0\0\0\xff\xff" * 20_000
    with pytest.raises(ApiError, match="becomes next to nothing"):
        _body(sent + stream.flush(), piece=1000)
    with pytest.raises(ApiError, match="becomes next to nothing"):
        _body(gzip.compress(b"") * 10_000)


@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 9 * PIECE, 20_000_000])
def test_it_never_becomes_large_at_once(size: int) -> None:
    body, largest = _body(gzip.compress(bytes(size)), piece=1 << 20)
    assert (len(body), largest) == (size, min(size, PIECE))


@pytest.mark.parametrize(
    ("sent", "encoding", "code"),
    [
        (TEXT, "gzip", "invalid_gzip"),
        (b"", "gzip", "invalid_gzip"),
        (gzip.compress(TEXT)[:-1], "gzip", "invalid_gzip"),
        (gzip.compress(TEXT) + b"x", "gzip", "invalid_gzip"),
        (gzip.compress(TEXT) + gzip.compress(TEXT)[:-1], "gzip", "invalid_gzip"),
        (gzip.compress(TEXT)[:-8] + bytes(8), "gzip", "invalid_gzip"),
        (zlib.compress(TEXT), "gzip", "invalid_gzip"),
        (zlib.compress(TEXT), "deflate", "unsupported_content_encoding"),
        (TEXT, "gzip, gzip", "unsupported_content_encoding"),
    ],
)
def test_what_is_refused(sent: bytes, encoding: str, code: str) -> None:
    with pytest.raises(ApiError) as caught:
        _body(sent, encoding=encoding)
    assert (caught.value.status, caught.value.code) == (400, code)


def test_a_bomb_is_stopped_at_the_limit_of_bodies() -> None:
    services = services_with(body_bytes=1_000_000, in_flight_bytes=2_000_000)
    bomb = gzip.compress(bytes(100_000_000))
    head = f"POST /v1/x HTTP/1.1\r\nHost: here\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    with standing(GzipBodies(BodyLimits(Reader(), services=services))) as port, connect(port) as client:
        client.sendall(head.encode() + bomb)
        status, _, body = answer(client)
        assert (status, code_of(body)) == (413, "request_too_large")
    wait_until_idle(services)

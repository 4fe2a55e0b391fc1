"""Bodies as clients send them, and as they should not."""

import asyncio
from collections.abc import Iterable

import httpx2
import pytest
from starlette.requests import Request

from sonant.server.errors import ApiError
from sonant.server.routes.bodies import RequestBody, receive
from sonant.server.settings import Limits

LIMITS = Limits(inputs=3, audio_bytes=1000)


def _receive(content: bytes, kind: str | None, *, piece: int = 1 << 20, hang_up: bool = False) -> RequestBody:
    chunks = [content[start : start + piece] for start in range(0, len(content), piece)] or [b""]
    messages: Iterable[dict[str, object]] = iter(
        [
            *({"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks),
            {"type": "http.disconnect"} if hang_up else {"type": "http.request", "body": b"", "more_body": False},
        ]
    )

    async def next_message() -> dict[str, object]:
        return next(messages)  # type: ignore[call-overload, no-any-return]

    headers = [] if kind is None else [(b"content-type", kind.encode())]
    scope = {"type": "http", "method": "POST", "headers": headers, "path": "/", "query_string": b""}
    return asyncio.run(receive(Request(scope, next_message), LIMITS))  # type: ignore[arg-type]


def _form(files: list[tuple[str, bytes]], fields: dict[str, str | list[str]]) -> tuple[bytes, str]:
    request = httpx2.Request(
        "POST", "http://x", data=fields, files=[(name, (f"{name}.wav", data)) for name, data in files]
    )
    return request.read(), request.headers["content-type"]


def _error(content: bytes, kind: str | None, **how: bool) -> ApiError:
    with pytest.raises(ApiError) as caught:
        _receive(content, kind, **how)
    return caught.value


@pytest.mark.parametrize(
    "kind", [None, "application/json", "application/json; charset=utf-8", "application/vnd.x+json"]
)
def test_json(kind: str | None) -> None:
    assert _receive(b'{"model": "m", "layer": [1, 2]}', kind, piece=5) == RequestBody({"model": "m", "layer": [1, 2]})


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_form(piece: int) -> None:
    content, kind = _form(
        [("file", b"\r\n--bytes\0"), ("file[]", b""), ("input", b"x" * 1000)],
        {"model": "m", "layer[]": "1", "again": ["a", "b", "c"]},
    )
    body = _receive(content, kind, piece=piece)
    assert body.files == (("file", b"\r\n--bytes\0"), ("file", b""), ("input", b"x" * 1000))
    assert body.fields == {"model": "m", "layer": ["1"], "again": ["a", "b", "c"]}
    assert body.is_form


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "empty"), (b"{", "character"), (b"[1]", "array"), (b'"x"', "string"), (b"null", "null"), (b"5", "number"),
     (b'{"a": "\xff"}', "JSON"), (b'{"a": NaN}', "JSON"), (b'{"a": "', "end"), (b'{"a": 1e999}', "JSON")],
)  # fmt: skip
def test_what_is_no_json_object(content: bytes, told: str) -> None:
    error = _error(content, "application/json")
    assert (error.status, error.code) == (400, "invalid_json")
    assert told in error.message


def test_json_labeled_as_a_form() -> None:
    error = _error(b'{"model": "m"}', "multipart/form-data")
    assert (error.status, error.code) == (400, "invalid_multipart")
    assert "boundary" in error.message
    assert _error(b'{"model": "m"}', "multipart/form-data; boundary=x").code == "invalid_multipart"


def test_other_types_are_refused() -> None:
    error = _error(b'{"model": "m"}', "application/x-www-form-urlencoded")
    assert (error.status, error.code) == (400, "unsupported_content_type")


@pytest.mark.parametrize("piece", [100, 1 << 20])
def test_a_file_is_stopped_at_its_limit(piece: int) -> None:
    content, kind = _form([("file", b"x" * 1001)], {})
    with pytest.raises(ApiError) as caught:
        _receive(content, kind, piece=piece)
    assert (caught.value.status, caught.value.code, caught.value.param) == (413, "audio_too_large", "file")


def test_too_many_files() -> None:
    error = _error(*_form([("file", b"x")] * 4, {}))
    assert (error.status, error.code) == (400, "invalid_multipart")
    assert "3" in error.message


def test_a_client_that_leaves() -> None:
    for kind in ("application/json", "multipart/form-data; boundary=x"):
        assert _error(b"--x\r\n", kind, hang_up=True).status == 499

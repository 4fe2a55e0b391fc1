"""A form means the same however it arrives; what is no form is refused, and where it only resembles its boundary."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant.server.errors import ApiError
from sonant.server.routes.long_text import LongText
from sonant.server.routes.multipart import HEAD_BYTES, MultipartReader
from sonant.server.settings import Limits
from sonant.server.text_limits import FIELDS, TEXT_BYTES

KIND = "multipart/form-data; boundary=xyz"
CONTENTS = st.binary(max_size=40) | st.sampled_from(
    [b"\r\n--xy", b"--xyz", b"\r\n", b"\r", b"\n--xyz", b"\r\n-", b"\0"]
)


def _read(body: bytes, *, piece: int = 1 << 16, kind: str = KIND, most: int = 1 << 30) -> list[Any]:
    reader = MultipartReader(kind, Limits(inputs=3, audio_bytes=most))
    for start in range(0, len(body), piece):
        reader.feed(body[start : start + piece])
    return reader.finish()


def _file(contents: bytes, name: str = "file") -> bytes:
    return b'--xyz\r\nContent-Disposition: form-data; name="%b"; filename="a"\r\n\r\n%b\r\n' % (name.encode(), contents)


def _field(contents: bytes, name: str = "text") -> bytes:
    return b'--xyz\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name.encode(), contents)


@settings(max_examples=60)
@given(st.lists(CONTENTS, min_size=1, max_size=6), st.integers(1, 60))
def test_files_are_what_was_sent(pieces: list[bytes], piece: int) -> None:
    contents = b"".join(pieces)
    while b"\r\n--xyz" in contents:  # which may be joined anew by what is taken out
        contents = contents.replace(b"\r\n--xyz", b"")
    body = b"before\r\n" + _file(contents) + _field(b"m", "model") + _file(b"") + b"--xyz--\r\nbehind"
    assert _read(body, piece=piece) == [("file", contents), ("model", "m"), ("file", b"")]


def test_heads_as_they_are_written() -> None:
    body = (
        b"--xyz \t\r\nX: y\r\ncontent-DISPOSITION: form-data; Name=a\r\nContent-Type: text/plain\r\n\r\n\xe9\r\n"
        b'--xyz\r\nContent-Disposition: form-data; name="\xc3\xa9"; filename=a\r\n\r\n1\r\n--xyz--'
    )
    assert _read(body) == [("a", "é"), ("é", b"1")]


def test_long_texts_are_kept_as_bytes() -> None:
    ((_, text),) = _read(_field(b"a" * (TEXT_BYTES + 1)) + b"--xyz--")
    assert isinstance(text, LongText)
    assert _read(_field(b"a" * TEXT_BYTES) + b"--xyz--") == [("text", "a" * TEXT_BYTES)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--xyz\r\n",
        _file(b"a"),
        _file(b"a") + b"--xyz-",
        _file(b"a\r\n--xyzb") + b"--xyz--",
        _file(b"a") + b"--xyz-\r\n",
        b"--xyz" + b" " * 1000,
        b"--xyz\r\n\r\na\r\n--xyz--",
        b"--xyz\r\nContent-Disposition: form-data\r\n\r\na\r\n--xyz--",
        b"--xyz\r\nX: " + b"y" * HEAD_BYTES + b"\r\n\r\na\r\n--xyz--",
        _file(b"a") * 4 + b"--xyz--",
        _field(b"a") * (FIELDS + 1) + b"--xyz--",
    ],
    ids=lambda body: f"{len(body)} bytes",
)
@pytest.mark.parametrize("piece", [1, 1 << 16])
def test_what_is_no_form(body: bytes, piece: int) -> None:
    with pytest.raises(ApiError) as caught:
        _read(body, piece=piece)
    assert (caught.value.status, caught.value.code) == (400, "invalid_multipart")


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=", f"{KIND}{'z' * 300}"])
def test_no_boundary(kind: str) -> None:
    with pytest.raises(ApiError, match="boundary"):
        _read(_file(b"a") + b"--xyz--", kind=kind)


def test_sizes_and_texts_are_checked() -> None:
    assert _read(_file(b"12345") + b"--xyz--", most=5) == [("file", b"12345")]
    for body in (_file(b"123456"), _field(b"12345678")):
        with pytest.raises(ApiError, match="larger than 5 bytes"):
            _read(body + b"--xyz--", most=5)
    for body in (_field(b"a\0"), _field(b"a", "te\x1bxt")):
        with pytest.raises(ApiError, match="control character"):
            _read(body + b"--xyz--")

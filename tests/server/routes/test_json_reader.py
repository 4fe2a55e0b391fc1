"""What a JSON body means does not depend on how it arrives; more of it than a request needs is refused on the way."""

import json
from contextlib import suppress
from functools import partial
from time import thread_time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant.server.errors import ApiError
from sonant.server.routes.json_reader import JsonReader
from sonant.server.routes.long_text import LongText
from sonant.server.text_limits import TEXT_BYTES

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('\\"\n/'), max_size=20)
LONG = st.sampled_from(['"' + "\\" * TEXT_BYTES, "A+/\n" * TEXT_BYTES, "é\U0001f600" * TEXT_BYTES])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | LONG,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def _read(body: bytes, *, piece: int = 1 << 16, inputs: int = 256) -> dict[str, Any]:
    reader = JsonReader(inputs)
    for start in range(0, len(body), piece):
        reader.feed(body[start : start + piece])
    return reader.finish()


def _plain(value: Any) -> Any:
    """Long texts as text."""
    match value:
        case LongText():
            return b"".join(value.pieces()).decode()
        case list():
            return [_plain(inner) for inner in value]
        case dict():
            return {name: _plain(inner) for name, inner in value.items()}
    return value


@settings(max_examples=40)
@given(st.dictionaries(TEXTS, VALUES, max_size=5), st.booleans(), st.integers(1, 50))
def test_it_means_what_any_parser_reads(value: dict[str, Any], ascii_only: bool, piece: int) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert _plain(_read(body, piece=piece)) == orjson.loads(body)


def test_long_texts_are_kept_as_bytes() -> None:
    text = "A" * (TEXT_BYTES + 1)
    read = _read(json.dumps({"short": text[1:], "long": text}).encode())
    assert read["short"] == text[1:]
    assert isinstance(read["long"], LongText)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"a": "x", "b": tru}', "character 16"),
        (b'{"a": "' + b"x" * 9000 + b'", "b": tru}', "character 9015"),
        (b'{"a": "\\x"}', "character 7"),
        (b'{"a": "x', "does not end"),
        (b'{"a": "x\\"}', "does not end"),
        (b"", "empty"),
        (b'{"a": "\xff"}', "UTF-8"),
    ],
)
def test_where_it_is_wrong(body: bytes, told: str) -> None:
    with pytest.raises(ApiError) as caught:
        _read(body)
    assert caught.value.code == "invalid_json"
    assert told in caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": [' + b"1," * 20_000,
        b'{"a": [' + b"[]," * 20_000,
        b"[" * 20_000,
        b'{"a": ' * 20_000,
        b'{"a": "' + b'\\"' * 20_000,
        b"{" + b'"a":1,' * 20_000,
        b'"" ' * 20_000,
        b"{" + b" " * (4 << 20),
        b"[" + b"1" * (4 << 20),
        b'["' + b'","'.join([b"x" * 8000] * 1000),
        orjson.dumps({str(number): 1 for number in range(200)}),
        orjson.dumps({"a": {"x" * 9000: 1}}),
        b'{"a":' + b"[" * 17 + b"]" * 17 + b"}",
        b'{"a":' + b'{"a":' * 16 + b"1" + b"}" * 17,
    ],
    ids=lambda body: body[:12].decode(),
)
def test_more_than_a_request_needs(body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        _read(body)
    assert (caught.value.status, caught.value.code) == (400, "json_too_complex")


@pytest.mark.parametrize(
    ("start", "item", "end"),
    [
        (b'{"a": [1', b",1", b"]}"),
        (b'{"a": "', b'\\"', b'"}'),
        (b'{"a": "', b"\\u0041", b'"}'),
        (b"{", b'"a":1,', b""),
        (b'{"a": [""', b',"' + b"a" * TEXT_BYTES + b'"', b"]}"),
    ],
    ids=["numbers", "quotation marks", "escapes", "names", "texts"],
)
def test_no_chunk_holds_the_server_for_long(start: bytes, item: bytes, end: bytes) -> None:
    """The processor's time for any chunk, and for the end, is a small part of the 100 ms that others may wait."""
    body, reader, longest = start + item * (8_000_000 // len(item)) + end, JsonReader(256), 0.0
    steps = [partial(reader.feed, body[at : at + (1 << 18)]) for at in range(0, len(body), 1 << 18)]
    with suppress(ApiError):
        for step in (*steps, reader.finish):
            before = thread_time()
            try:
                step()
            finally:
                longest = max(longest, thread_time() - before)
    assert longest < 0.05


def test_what_a_request_needs() -> None:
    """As many content parts as a request may hold, written with much space."""
    part = {"content": [{"type": "input_audio", "input_audio": {"data": "A" * TEXT_BYTES, "format": "wav"}}]}
    body = {"model": "m", "input": [part] * 256}
    assert _read(json.dumps(body, indent=8).encode()) == body


@pytest.mark.parametrize("text", ["\0", "\x07", "\x1b[31m", "\x7f", "\x9b"])
def test_control_characters(text: str) -> None:
    for value, param in (({"a": text}, "a"), ({"a": [{"b": text}]}, "a[0].b"), ({text: 1}, "a name in the body")):
        with pytest.raises(ApiError) as caught:
            _read(orjson.dumps(value))
        assert (caught.value.code, caught.value.param) == ("invalid_value", param)
        assert f"U+{ord(text[0]):04X}" in caught.value.message
    assert _read(orjson.dumps({"a": "line\r\n\tline"})) == {"a": "line\r\n\tline"}


@pytest.mark.parametrize("number", ["9" * 5000, "1e999999999", "-1e999", "NaN", "Infinity"])
def test_numbers_without_a_meaning(number: str) -> None:
    with pytest.raises(ApiError) as caught:
        _read(f'{{"a": {number}}}'.encode())
    assert caught.value.code == "invalid_json"

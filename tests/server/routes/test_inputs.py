"""Every form in which a recording may come gives the same bytes; every other is refused, and told where it is."""

import asyncio
import base64
from typing import Any
from urllib.parse import quote

import pytest

from sonant.server.errors import ApiError
from sonant.server.routes.bodies import RequestBody
from sonant.server.routes.inputs import LinkedAudio, UploadedAudio, WrittenAudio, one_recording, read, recordings
from sonant.server.settings import Limits

LIMITS = Limits(inputs=4, audio_bytes=1 << 20)
DATA = b"RIFF not really, but any bytes do here \xff\xfe\xfd"
TEXT = base64.b64encode(DATA).decode()
URI = f"data:audio/wav;base64,{TEXT}"


class Address:
    """Stands for the fetcher: the bytes at an address are the address."""

    async def fetch(self, url: str, **_: Any) -> bytes:
        return url.encode()


def _read(value: Any, limits: Limits = LIMITS) -> list[bytes]:
    found = recordings(RequestBody({"input": value}), "input", "file", limits=limits)

    async def all_of_them() -> list[bytes]:
        return [await read(each, Address(), limits, share="ada", take=lambda _: None) for each in found]  # type: ignore[arg-type]

    return asyncio.run(all_of_them())


def _error(value: Any, limits: Limits = LIMITS) -> ApiError:
    with pytest.raises(ApiError) as caught:
        _read(value, limits)
    return caught.value


@pytest.mark.parametrize(
    "value",
    [
        TEXT,
        URI,
        URI.replace("data:audio/wav", "DATA:"),
        {"type": "input_audio", "input_audio": {"data": TEXT, "format": "wav"}},
        {"type": "input_audio", "input_audio": {"data": URI}},
        {"type": "audio_url", "audio_url": {"url": URI}},
        {"type": "audio_url", "audio_url": URI},
        {"audio": URI},
        {"audio": {"data": TEXT}},
        {"content": [{"type": "input_audio", "input_audio": {"data": TEXT}}]},
        {"role": "user", "content": [{"type": "audio_url", "audio_url": {"url": URI}}]},
        {"content": URI},
        TEXT.replace("+", "-").replace("/", "_"),
        TEXT.rstrip("="),
        URI.replace("=", "%3D").replace("+", "%2B").replace("/", "%2F", 1).replace("%2F", "/", 1),
        f"data:audio/wav,{quote(DATA)}",
        f"data:,{''.join(f'%{byte:02x}' for byte in DATA)}",
        "\n".join(TEXT[start : start + 16] for start in range(0, len(TEXT), 16)),
        f"  {URI} \r\n",
    ],
    ids=lambda value: str(value)[:60],
)
def test_one_recording_in_every_form(value: Any) -> None:
    assert _read(value) == [DATA]
    assert _read([value, TEXT]) == [DATA, DATA]


def test_addresses_are_fetched() -> None:
    assert _read(["https://a.example/x.wav", {"audio_url": {"url": "http://b.example/y"}}]) == [
        b"https://a.example/x.wav",
        b"http://b.example/y",
    ]


@pytest.mark.parametrize(
    ("value", "code", "param", "told"),
    [
        ([], "empty_input", "input", "empty list"),
        ("", "empty_input", "input", "empty"),
        (["  "], "empty_input", "input[0]", "empty"),
        ("data:audio/wav;base64,", "empty_input", "input", "without data"),
        (list(DATA), "invalid_input", "input", "b64encode"),
        ([[82, 73, 70]], "invalid_input", "input[0]", "b64encode"),
        ([9906, 1917], "invalid_input", "input", "Token numbers"),
        ([0.25, -0.5], "invalid_input", "input", "samples"),
        (5, "invalid_input", "input", "a number"),
        ([TEXT, None], "invalid_input", "input[1]", "null"),
        ([TEXT, True], "invalid_input", "input[1]", "true or false"),
        ([TEXT, [TEXT]], "invalid_input", "input[1]", "list inside a list"),
        ("hello world", "invalid_input", "input", "the text 'hello world'"),
        ("hello", "invalid_input", "input", "the text 'hello'"),
        (["The quick brown fox, jumps!"], "invalid_input", "input[0]", "the text"),
        (f"{TEXT} {TEXT}", "invalid_input", "input", "without its +"),
        ("UklGRg==", "invalid_input", "input", "4 bytes"),
        (["/home/me/speech.wav"], "invalid_input", "input[0]", "path"),
        ("RIFF\ufffd\ufffd", "invalid_input", "input", "ASCII"),
        ("A", "invalid_input", "input", "base64"),
        (TEXT[:8] + "=" + TEXT[8:], "invalid_input", "input", "base64"),
        ("data:audio/wav,xyz", "invalid_input", "input", "text 'xyz'"),
        ("data:audio/wav;base64", "invalid_input", "input", "without a comma"),
        (f"data:audio/wav,{quote(DATA)}%4", "invalid_input", "input", "hexadecimal"),
        ("file:///etc/passwd", "invalid_input", "input", "file://"),
        ("s3://bucket/a.wav", "invalid_input", "input", "s3://"),
        ({"type": "text", "text": "hello"}, "invalid_input", "input", "text"),
        ({"type": "image_url", "image_url": {"url": URI}}, "invalid_input", "input", "image_url"),
        ({"path": "a.wav"}, "invalid_input", "input", "'path'"),
        ({}, "invalid_input", "input", "no members"),
        ({"content": []}, "invalid_input", "input", "0 parts"),
        ([{"content": [{"audio": TEXT}, {"audio": TEXT}]}], "invalid_input", "input[0]", "2 parts"),
        ({"content": [{"type": "text", "text": "x"}]}, "invalid_input", "input.content[0]", "text"),
        ({"input_audio": {"data": 5}}, "invalid_input", "input", "'input_audio'"),
        ([TEXT] * 5, "too_many_inputs", "input", "may hold 4"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_refused(value: Any, code: str, param: str, told: str) -> None:
    error = _error(value)
    assert (error.status, error.code, error.param) == (400, code, param)
    assert told in error.message


def test_too_large_is_refused_before_it_is_decoded() -> None:
    error = _error("A" * (2 << 20))
    assert (error.status, error.code, error.param) == (413, "audio_too_large", "input")


def test_nothing_at_all() -> None:
    with pytest.raises(ApiError, match="input is missing"):
        recordings(RequestBody({}), "input", "file", limits=LIMITS)
    with pytest.raises(ApiError, match="input is missing"):
        recordings(RequestBody({"input": None}), "input", "file", limits=LIMITS)


def test_files_and_text_of_a_form_in_order() -> None:
    body = RequestBody({"input": [URI]}, (("file", b"a"), ("other", b"x"), ("input", b"b")), is_form=True)
    found = recordings(body, "input", "file", limits=LIMITS)
    assert found == [
        UploadedAudio("file[0]", b"a"),
        UploadedAudio("input[1]", b"b"),
        WrittenAudio("input[0]", TEXT, is_uri=True),
    ]


def test_one_recording_is_one() -> None:
    assert one_recording(RequestBody({"file": "http://x/y"}), "file", limits=LIMITS) == LinkedAudio(
        "file", "http://x/y"
    )
    with pytest.raises(ApiError) as caught:
        one_recording(RequestBody({}, (("file", b"a"), ("file", b"b"))), "file", limits=LIMITS)
    assert caught.value.code == "too_many_inputs"

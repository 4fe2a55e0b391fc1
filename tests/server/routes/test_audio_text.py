"""Base64 and percent-encoding of any layout give back the bytes; what may have been changed on the way is refused."""

import base64
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant.server.routes.audio_text import decoded
from sonant.server.routes.long_text import PIECE, LongText

MOST = 1 << 30
DATA = bytes(range(256)) * (PIECE // 128)  # several pieces


@settings(max_examples=40)
@given(st.binary(min_size=1, max_size=9000), st.integers(1, 200), st.booleans(), st.booleans(), st.booleans())
def test_base64_in_any_layout(data: bytes, width: int, url_safe: bool, padded: bool, is_uri: bool) -> None:
    text = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(data).decode()
    text = text if padded else text.rstrip("=")
    text = "\r\n".join(text[start : start + width] for start in range(0, len(text), width))
    assert decoded(f"  {text}\n", is_uri=is_uri, most=MOST) == data
    assert decoded(quote(text), is_uri=True, most=MOST) == data


@pytest.mark.parametrize("shift", [0, 1, 5])
def test_several_pieces(shift: int) -> None:
    data = DATA[shift:]
    text = base64.b64encode(data).decode()
    escaped = text.replace("/", "\\/").replace("+", "\\u002b").encode()
    assert decoded(text, most=MOST) == data
    assert decoded(LongText(bytearray(text.encode()), is_json=False), most=MOST) == data
    assert decoded(LongText(bytearray(escaped), is_json=True), most=MOST) == data
    for text in (quote(data), "".join(f"%{byte:02X}" for byte in data)):
        assert (
            decoded(LongText(bytearray(text.encode()), is_json=True), is_base64=False, is_uri=True, most=MOST) == data
        )


def test_more_than_it_may_become() -> None:
    text = base64.b64encode(DATA).decode()
    assert decoded(text, most=len(DATA)) == DATA
    with pytest.raises(OverflowError):
        decoded(text, most=len(DATA) - 1)


@pytest.mark.parametrize(
    "text",
    [
        "AAAA AAAA",  # a + that became a space
        "AAAAAAA ",  # the same at the end, unless padding shows that nothing is missing
        "A",
        "AA==AAAA",
        "AAAA=",
        "AAA=A",
        "AAAé",
        "AAAA*AAA",
        "AAAA" * PIECE + "AA==" + "AAAA" * PIECE,
    ],
    ids=lambda text: text[:12],
)
def test_what_is_not_base64(text: str) -> None:
    for written in (text, LongText(bytearray(text.encode()), is_json=False)):
        with pytest.raises(ValueError, match="."):
            decoded(written, most=MOST)


@pytest.mark.parametrize("text", ["a b", "a%", "a%4", "a%zz", "a%%41", "é", "a\n"])
def test_what_is_not_percent_encoded(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        decoded(text, is_base64=False, is_uri=True, most=MOST)

"""Recordings written as text: base64 in any of its layouts, and the percent-encoding of data URIs."""

import binascii
import re
from collections.abc import Iterable, Iterator

from sonant.server.routes.long_text import LongText, pieces_of

URL_SAFE = bytes.maketrans(b"-_", b"+/")
LINE_BREAKS = b"\t\r\n"
NOT_HEXADECIMAL = re.compile(rb"%(?![0-9A-Fa-f]{2})")
SPACE = re.compile(rb"[\0- ]")


def decoded(text: str | LongText, *, is_base64: bool = True, is_uri: bool = False, most: int) -> bytes:
    """Decode in pieces, so that other threads can run in between.

    Args:
        text: base64, or without `is_base64` percent-encoded. Line breaks, the URL-safe alphabet and missing padding of
            base64 are accepted. Spaces are not, except around it: an omitted + would change every later byte.
        is_uri: whether base64 is percent-encoded, too.
        most: bytes that it may become.

    Raises ValueError: it is not that. OverflowError: it becomes more bytes.
    """
    pieces: Iterator[bytes] = (_ascii(piece) for piece in pieces_of(text))
    if is_uri or not is_base64:
        pieces = _percent_decoded(pieces, is_base64=is_base64)
    kept, num_bytes = [], 0
    for data in _base64_decoded(pieces) if is_base64 else pieces:
        num_bytes += len(data)
        if num_bytes > most:
            raise OverflowError
        kept.append(data)
    return b"".join(kept)


def _ascii(piece: bytes) -> bytes:
    """Return the piece. Raises UnicodeDecodeError: it has other characters."""
    if not piece.isascii():
        piece.decode("ascii")
    return piece


def _percent_decoded(pieces: Iterable[bytes], *, is_base64: bool) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        whole, rest = rest + piece, b""
        if (last := whole.find(b"%", -2)) >= 0:  # may go on in the next piece
            whole, rest = whole[:last], whole[last:]
        if not is_base64 and SPACE.search(whole):
            raise ValueError("a space that is not written as %20")
        if NOT_HEXADECIMAL.search(whole):
            raise ValueError("a % without two hexadecimal digits")
        # Quoted-printable differs only in its sign, and is decoded by C.
        yield binascii.a2b_qp(whole.replace(b"=", b"=3D").replace(b"%", b"="))
    if rest:
        raise ValueError("a % without two hexadecimal digits")


def _base64_decoded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest, has_begun, has_space, has_padding = b"", False, False, False
    for piece in pieces:
        clean = piece.translate(URL_SAFE, LINE_BREAKS)
        text, space, after = (clean if has_begun else clean.lstrip(b" ")).partition(b" ")
        if (has_space and text) or after.strip(b" "):
            raise ValueError("a space in it")
        has_begun, has_space = has_begun or bool(text), has_space or bool(space)
        text = rest + text
        whole, rest = text[: len(text) // 4 * 4], text[len(text) // 4 * 4 :]
        if whole and has_padding:
            raise ValueError("there is more after its end")
        if whole:
            has_padding = whole.endswith(b"=")
            yield binascii.a2b_base64(whole, strict_mode=True)
    if rest and has_padding:
        raise ValueError("there is more after its end")
    if rest and has_space:
        raise ValueError("a space after text without padding, which may have been a +")
    if rest:
        yield binascii.a2b_base64(rest + b"=" * (-len(rest) % 4), strict_mode=True)

"""Long texts of requests, which hold recordings: kept as they were received, and decoded in pieces."""

from collections.abc import Iterator

import orjson

PIECE = 1 << 18  # bytes decoded in one call, which holds the GIL: well under a millisecond
HEAD = 1024  # bytes in which the comma of a data URI is looked for
LONGEST_ESCAPE = 6  # \u002b


class LongText:
    """A text longer than `text_limits.TEXT_BYTES`, which never becomes a `str`.

    Args:
        raw: its UTF-8.
        is_json: whether JSON's escapes are in it.
    """

    def __init__(self, raw: bytearray, *, is_json: bool, start: int = 0) -> None:
        self._raw, self._is_json, self._start = raw, is_json, start

    def __len__(self) -> int:
        """Return the number of bytes, in which escapes count as they were received."""
        return len(self._raw) - self._start

    @property
    def head(self) -> str:
        """The beginning of the text; empty if that is not valid."""
        try:
            return next(self.pieces(HEAD)).decode(errors="replace")
        except ValueError:
            return ""

    def after_comma(self) -> "LongText":
        """Return what follows the first comma of the head; everything if it has none."""
        comma = self._raw.find(b",", self._start, self._start + HEAD)
        return LongText(self._raw, is_json=self._is_json, start=comma + 1) if comma >= 0 else self

    def pieces(self, size: int = PIECE) -> Iterator[bytes]:
        """Yield the text in UTF-8, `size` bytes or less at a time. Raises ValueError: an escape is not valid."""
        at, view = self._start, memoryview(self._raw)
        while at < len(view):
            piece = bytes(view[at : at + size])
            if self._is_json and b"\\" in piece:
                escape = piece.find(b"\\", -LONGEST_ESCAPE)
                if escape > 0 and at + len(piece) < len(view):  # an escape is not cut
                    piece = piece[:escape]
                yield orjson.loads(b'"%b"' % piece).encode()
            else:
                yield piece
            at += len(piece)


def pieces_of(text: str | LongText) -> Iterator[bytes]:
    """Yield a text in UTF-8, in pieces. Raises ValueError: it is not valid."""
    return text.pieces() if isinstance(text, LongText) else iter([text.encode()])

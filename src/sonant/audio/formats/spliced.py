"""Concatenation of pieces of a file and bytes in memory, as one file."""

import io
import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, BinaryIO

Piece = tuple[int, int] | bytes  # (begin, end) in the file, or bytes that replace some

_BUFFER = 1 << 16


def splice(file: BinaryIO, pieces: Sequence[Piece]) -> BinaryIO:
    """Return a seekable, read-only file of the concatenated `pieces` of `file`, whose position changes.

    A seek before the beginning, caused by damaged headers, is ignored.
    """
    return io.BufferedReader(_Spliced(file, pieces), _BUFFER)


def read_at(file: BinaryIO, place: int, count: int) -> bytes:
    """Read bytes at an offset; fewer at the end of the file."""
    try:
        file.seek(place)
    except (OSError, OverflowError):
        return b""
    return file.read(count)


class _Spliced(io.RawIOBase):
    def __init__(self, file: BinaryIO, pieces: Sequence[Piece]) -> None:
        self._file, self._pieces, self._at = file, pieces, 0
        lengths = (len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in pieces)
        self._begins = list(accumulate(lengths, initial=0))  # offset of each piece, and of the end

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        at = offset + (0, self._at, self._begins[-1])[whence]
        self._at = at if at >= 0 else self._at
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        if self._at >= self._begins[-1]:
            return 0
        index = bisect_right(self._begins, self._at) - 1
        skipped, wanted = self._at - self._begins[index], min(len(buffer), self._begins[index + 1] - self._at)
        piece = self._pieces[index]
        if isinstance(piece, bytes):
            data = piece[skipped : skipped + wanted]
        else:
            self._file.seek(piece[0] + skipped)
            data = self._file.read(wanted)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

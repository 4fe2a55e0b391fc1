"""A bounded window on a file, for parsers that look ahead."""

from typing import BinaryIO

CHUNK = 1 << 20


class Lookahead:
    """A window on a file.

    Attributes:
        begin: offset of the window in the file.
        data: bytes of the window.
        end: end of the file, or of the part to read.
    """

    def __init__(self, file: BinaryIO, end: int, *, chunk: int = CHUNK) -> None:
        self._file, self._chunk = file, chunk
        self.begin, self.data, self.end = 0, b"", end

    def see(self, at: int, reach: int) -> int:
        """Return the index in `data` of offset `at` of the file, with `reach` bytes loaded (or all that exist)."""
        seen = self.begin + len(self.data)
        if at < self.begin or (at + reach > seen and seen < self.end):
            self._file.seek(at)
            parts, missing = list[bytes](), max(0, min(self._chunk, self.end - at))
            while missing and (part := self._file.read(missing)):
                parts.append(part)
                missing -= len(part)
            self.begin, self.data = at, b"".join(parts)
            if missing:
                self.end = at + len(self.data)  # the file was truncated meanwhile
        return at - self.begin

    def peek(self, at: int, length: int) -> bytes:
        """Return the bytes at an offset of the file; fewer at its end."""
        local = self.see(at, length)
        return self.data[local : local + length]

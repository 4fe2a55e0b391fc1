"""A file seen through a window of bounded size, for walks that look a little ahead."""

from typing import BinaryIO

CHUNK = 1 << 20


class Lookahead:
    """The window.

    Attributes:
        begin: where in the file it begins.
        data: the bytes in it.
        end: of the file, or of what is to be seen of it.
    """

    def __init__(self, file: BinaryIO, end: int, *, chunk: int = CHUNK) -> None:
        self._file, self._chunk = file, chunk
        self.begin, self.data, self.end = 0, b"", end

    def see(self, at: int, reach: int) -> int:
        """Where in `data` a place of the file stands, of which as much as `reach` bytes follow (or all there are)."""
        seen = self.begin + len(self.data)
        if at < self.begin or (at + reach > seen and seen < self.end):
            self._file.seek(at)
            parts, missing = list[bytes](), max(0, min(self._chunk, self.end - at))
            while missing and (part := self._file.read(missing)):
                parts.append(part)
                missing -= len(part)
            self.begin, self.data = at, b"".join(parts)
            if missing:
                self.end = at + len(self.data)  # the file has become shorter meanwhile
        return at - self.begin

    def peek(self, at: int, length: int) -> bytes:
        """The bytes at a place of the file; fewer at its end."""
        local = self.see(at, length)
        return self.data[local : local + length]

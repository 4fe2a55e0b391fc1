"""Pages of an Ogg file (RFC 3533), each checked against its checksum."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from sonant.audio.formats.lookahead import Lookahead

MAGIC = b"OggS\0"  # with the version
_HEADER = struct.Struct("<5sBqIIIB")
_LONGEST = 27 + 255 + 255 * 255
_MOST_BAD = 100  # invalid pages; a hostile file may consist of them
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        begin, end: offsets in the file.
        granule: position of the end of its last complete packet, in units of the codec; -1 if there is none.
        serial: of its stream.
        number: in its stream.
        is_first, is_last: the stream begins, or ends, with it.
        head: first bytes of its content.
        junk: number of bytes before it that belong to no page.
        is_after_page: these bytes include a damaged page.
    """

    begin: int
    end: int
    granule: int
    serial: int
    number: int
    is_first: bool
    is_last: bool
    head: bytes
    junk: int
    is_after_page: bool


class Pages:
    """Iterable, once, of the pages of a file of `size` bytes.

    Attributes:
        end: end of the last valid page.
        is_broken: a truncated or damaged page follows it.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._window = Lookahead(file, size)
        self._bad, self.end, self.is_broken = 0, 0, False

    def __iter__(self) -> Iterator[Page]:
        at = 0
        while at < self._window.end:
            page = self._page(at, at - self.end)
            if page is None:
                following = self._find(at + 1)
                if following is None:
                    return
                at = following
            else:
                self.end, self.is_broken = page.end, False
                yield page
                at = page.end

    def _page(self, at: int, junk: int) -> Page | None:
        local = self._window.see(at, _LONGEST)
        data = self._window.data
        if len(data) - local < _HEADER.size:
            self.is_broken |= MAGIC.startswith(data[local : local + len(MAGIC)])
            return None
        magic, flags, granule, serial, number, checksum, segments = _HEADER.unpack_from(data, local)
        if magic != MAGIC:
            return None
        body = local + _HEADER.size + segments
        end = body + sum(data[local + _HEADER.size : body])
        if end > len(data) or checksum != _checksum(data[local : local + 22], data[local + 26 : end]):
            self._bad, self.is_broken = self._bad + 1, True
            return None
        places = self._window.begin + local, self._window.begin + end
        head, is_first, is_last = data[body : min(end, body + 64)], bool(flags & 2), bool(flags & 4)
        return Page(*places, granule, serial, number, is_first, is_last, head, junk, self.is_broken)

    def _find(self, at: int) -> int | None:
        """Find the next page header."""
        while at < self._window.end and self._bad < _MOST_BAD:
            local = self._window.see(at, _HEADER.size)
            found = self._window.data.find(MAGIC, local)
            if found >= 0:
                return self._window.begin + found
            at = self._window.begin + max(local + 1, len(self._window.data) - len(MAGIC) + 1)
        return None


def _checksum(before: bytes, after: bytes) -> int:
    """Return the checksum of a page, from the bytes before and after the checksum field.

    Ogg's CRC is that of zip with the bits of each byte, and of the result, in reverse order, and without inversion.
    """
    mirrored = (before + b"\0\0\0\0" + after).translate(_MIRRORED)
    reversed_bits = zlib.crc32(mirrored, 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int.from_bytes(reversed_bits.to_bytes(4, "big").translate(_MIRRORED), "little")

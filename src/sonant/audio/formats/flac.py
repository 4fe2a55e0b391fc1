"""FLAC files joined byte by byte, and those whose header counts fewer samples than there are.

Decoders stop where the header of the first says (RFC 9639). The number of the last frame tells whether that is the end.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice, pairwise
from typing import BinaryIO

from sonant.audio.formats.file_layout import MOST_PARTS, FileLayout, Part
from sonant.audio.formats.id3 import before_tags
from sonant.audio.formats.lookahead import Lookahead
from sonant.audio.formats.spliced import read_at
from sonant.errors import UndecodableAudio

MAGIC = b"fLaC"
_BEGINNING = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")  # and the header of the first block, which has 34 bytes
_SYNC = re.compile(rb"\xff[\xf8\xf9]")
_HEAD = 42  # bytes to behind the first block
_TOTAL = 21  # where the number of samples stands: 36 bits, of which 4 are in this byte
_FRAME_HEAD = 16  # bytes of a frame's header, at most
_LONGEST = 1 << 16  # bytes of a frame, where the header does not say
_MOST_BYTES = 1 << 18  # to be looked through for a frame
_MOST_TRIES = 20_000  # at one place; a hostile file seems to begin a frame at every second byte
_SHORT = 1 << 16  # bytes of a file that is soon searched through
_PROBES = 8
_MOST_BLOCKS = 1000  # of notes and pictures
_BLOCKS = {1: 192, **{2 + k: 576 << k for k in range(4)}, **{8 + k: 256 << k for k in range(8)}}  # samples, by code


@dataclass(frozen=True)
class _Flac:
    """One FLAC in a file.

    Attributes:
        begin: its first byte.
        end: behind its last byte, or behind tags after it.
        head: its first bytes.
    """

    begin: int
    end: int
    head: bytes

    @property
    def rate(self) -> int:
        return int.from_bytes(self.head[18:21], "big") >> 4

    @property
    def total(self) -> int:
        """The samples that the header counts; 0 where it does not say."""
        return int.from_bytes(self.head[_TOTAL:26], "big") & (1 << 36) - 1

    @property
    def longest(self) -> int:
        """Bytes of a frame, at most."""
        return min(int.from_bytes(self.head[15:18], "big") or _LONGEST, _MOST_BYTES)

    def last_frames(self, file: BinaryIO) -> Iterator[tuple[int, int]]:
        """The frames in the last bytes."""
        at = max(self.begin + _HEAD, self.end - 2 * self.longest - _FRAME_HEAD)
        return self._frames(file, at, self.end - at)

    def seems_single(self, file: BinaryIO) -> bool:
        """Return whether it ends as its header says, and the frames in some places are in order.

        By its end alone several of one length cannot be told from one.
        """
        if not self.total or all(end != self.total for _, end in self.last_frames(file)):
            return False
        if self.end - self.begin <= _SHORT:
            return _find(file, _behind_notes(file, self.begin), self.end) is None
        begin = _behind_notes(file, self.begin)
        places = [begin + (self.end - begin) * k**2 // _PROBES**2 for k in range(_PROBES)]  # as no equal parts lie
        frames = [next(self._frames(file, at, self.longest + _FRAME_HEAD), None) for at in places]
        starts = [frame[0] for frame in frames if frame is not None]
        return all(start < following for start, following in pairwise(starts))

    def _frames(self, file: BinaryIO, at: int, count: int) -> Iterator[tuple[int, int]]:
        """The first sample, and the one behind the last, of each frame that seems to begin in some bytes."""
        data, block = read_at(file, at, count), int.from_bytes(self.head[10:12], "big")
        frames = (
            _frame(data[match.start() :][:_FRAME_HEAD], block) for match in islice(_SYNC.finditer(data), _MOST_TRIES)
        )
        return (frame for frame in frames if frame is not None)


def read_flac(file: BinaryIO, name: str, size: int) -> FileLayout | None:
    """Find what decoders would leave out; None where the file is no FLAC, or ends as its header says."""
    head = read_at(file, 0, _HEAD)
    if _BEGINNING.match(head) is None or len(head) < _HEAD:
        return None
    whole = _Flac(0, before_tags(file, size), head)
    if whole.seems_single(file):
        return None
    recordings = list(_recordings(file, name, whole.end))
    parts, notes, seconds = list[Part](), list[str](), 0.0
    for flac in recordings:
        frames = list(flac.last_frames(file))
        starts = {start for start, _ in frames}
        more = [end for start, end in frames if end in starts and end > flac.total > 0]
        if more:
            open_total = bytes((flac.head[_TOTAL] & 0xF0, 0, 0, 0, 0))
            pieces = (flac.begin, flac.begin + _TOTAL), open_total, (flac.begin + _TOTAL + 5, flac.end)
            parts.append(Part(pieces))
            notes.append(
                f"the header after {seconds:.2f} s counts {flac.total} samples, and at least {max(more)} are there, "
                "all of which were read"
            )
        else:
            parts.append(Part(((flac.begin, flac.end),)))
        seconds += max([flac.total, *more]) / max(1, flac.rate)
    return FileLayout(tuple(parts), tuple(notes)) if len(parts) > 1 or notes else None


def _recordings(file: BinaryIO, name: str, end: int) -> Iterator[_Flac]:
    """The FLACs one behind another, up to a place of the file. Raises UndecodableAudio."""
    begin: int | None = 0
    for _ in range(MOST_PARTS):
        if begin is None:
            return
        following = _find(file, _behind_notes(file, begin), end)
        yield _Flac(begin, end if following is None else following, read_at(file, begin, _HEAD))
        begin = following
    raise UndecodableAudio(
        f"{name}: more than {MOST_PARTS} recordings one behind another. Convert it first (ffmpeg -i OLD NEW.wav)."
    )


def _behind_notes(file: BinaryIO, begin: int) -> int:
    """Return where the frames begin: pictures and notes before them may hold anything."""
    at = begin + len(MAGIC)
    for _ in range(_MOST_BLOCKS):
        head = read_at(file, at, 4)
        at += 4 + int.from_bytes(head[1:], "big")
        if len(head) < 4 or head[0] & 0x80:
            break
    return at


def _find(file: BinaryIO, at: int, end: int) -> int | None:
    window = Lookahead(file, end)
    while at + _HEAD <= window.end:
        local = window.see(at, _HEAD)
        found = window.data.find(MAGIC, local)
        if found >= 0 and (_BEGINNING.match(window.data, found) is not None):
            return window.begin + found
        at = window.begin + (found + 1 if found >= 0 else max(local + 1, len(window.data) - len(MAGIC) + 1))
    return None


def _frame(head: bytes, block: int) -> tuple[int, int] | None:
    """First sample, and the one behind the last, of the frame that begins so; None where none begins.

    `block` is the usual number of samples in one.
    """
    code = head[2] >> 4 if len(head) > 4 else 0
    ones = 8 - (head[4] ^ 0xFF).bit_length() if code else 1  # the number is coded as in UTF-8
    at = 4 + max(1, ones)
    if not code or ones in (1, 8) or len(head) < at + 5 or head[3] & 1:
        return None
    number = head[4] & 0x7F >> ones
    for byte in head[5:at]:
        number = number << 6 | byte & 0x3F
    length = _BLOCKS.get(code) or int.from_bytes(head[at : at + code - 5], "big") + 1
    at += (code - 5 if code in (6, 7) else 0) + {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if len(head) <= at or _crc(head[:at]) != head[at]:
        return None
    start = number if head[1] & 1 else number * block
    return start, start + length


def _crc(data: bytes) -> int:
    value = 0
    for byte in data:
        value = _crc_table()[value ^ byte]
    return value


@cache
def _crc_table() -> list[int]:
    """Return the CRC table of the polynomial x^8 + x^2 + x + 1."""
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value << 1 ^ (0x107 if value & 0x80 else 0)
        table.append(value)
    return table

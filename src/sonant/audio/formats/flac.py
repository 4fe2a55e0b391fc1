"""Layout of concatenated FLAC files, and of files with more samples than their header states.

Decoders stop at the number of samples in the first header (RFC 9639), which is compared with the last frame here.
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
_BEGINNING = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")  # with the header of the first block, of 34 bytes
_SYNC = re.compile(rb"\xff[\xf8\xf9]")
_HEAD = 42  # bytes up to the end of the first block
_TOTAL = 21  # offset of the number of samples: 36 bits, 4 of them in this byte
_FRAME_HEAD = 16  # most bytes of a frame header
_LONGEST = 1 << 16  # bytes of a frame, if not stated
_MOST_BYTES = 1 << 18  # in which a frame is searched
_MOST_TRIES = 20_000  # in one search; a hostile file has a sync code at every second byte
_SHORT = 1 << 16  # bytes of a file that is searched completely
_PROBES = 8
_MOST_BLOCKS = 1000  # of notes and pictures
_BLOCKS = {1: 192, **{2 + k: 576 << k for k in range(4)}, **{8 + k: 256 << k for k in range(8)}}  # samples, by code


@dataclass(frozen=True)
class _Flac:
    """A FLAC stream in a file: offsets of its begin and end (with tags after it), and its first bytes."""

    begin: int
    end: int
    head: bytes

    @property
    def rate(self) -> int:
        return int.from_bytes(self.head[18:21], "big") >> 4

    @property
    def total(self) -> int:
        """Number of samples in the header; 0 if not stated."""
        return int.from_bytes(self.head[_TOTAL:26], "big") & (1 << 36) - 1

    @property
    def longest(self) -> int:
        """Most bytes of a frame."""
        return min(int.from_bytes(self.head[15:18], "big") or _LONGEST, _MOST_BYTES)

    def last_frames(self, file: BinaryIO) -> Iterator[tuple[int, int]]:
        """First and end sample of the frames near the end."""
        at = max(self.begin + _HEAD, self.end - 2 * self.longest - _FRAME_HEAD)
        return self._frames(file, at, self.end - at)

    def seems_single(self, file: BinaryIO) -> bool:
        """Return True if the last frame ends at the stated sample, and frames at several offsets are in order.

        The last frame alone does not distinguish one stream from several of one length.
        """
        if not self.total or all(end != self.total for _, end in self.last_frames(file)):
            return False
        if self.end - self.begin <= _SHORT:
            return _find(file, _behind_notes(file, self.begin), self.end) is None
        begin = _behind_notes(file, self.begin)
        places = [begin + (self.end - begin) * k**2 // _PROBES**2 for k in range(_PROBES)]  # not evenly spaced
        frames = [next(self._frames(file, at, self.longest + _FRAME_HEAD), None) for at in places]
        starts = [frame[0] for frame in frames if frame is not None]
        return all(start < following for start, following in pairwise(starts))

    def _frames(self, file: BinaryIO, at: int, count: int) -> Iterator[tuple[int, int]]:
        """First and end sample of each frame header in `count` bytes."""
        data, block = read_at(file, at, count), int.from_bytes(self.head[10:12], "big")
        frames = (
            _frame(data[match.start() :][:_FRAME_HEAD], block) for match in islice(_SYNC.finditer(data), _MOST_TRIES)
        )
        return (frame for frame in frames if frame is not None)


def read_flac(file: BinaryIO, name: str, size: int) -> FileLayout | None:
    """Find sound that decoders would leave out; None for another format, or a file as its header states."""
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
    """Yield the concatenated streams up to an offset. Raises UndecodableAudio."""
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
    """Return the offset of the first frame, after metadata blocks, whose content is arbitrary."""
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
    """Parse a frame header to first and end sample; None if invalid. `block`: samples of a frame in the stream."""
    code = head[2] >> 4 if len(head) > 4 else 0
    ones = 8 - (head[4] ^ 0xFF).bit_length() if code else 1  # the number is encoded like UTF-8
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
    """CRC table of the polynomial x^8 + x^2 + x + 1."""
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value << 1 ^ (0x107 if value & 0x80 else 0)
        table.append(value)
    return table

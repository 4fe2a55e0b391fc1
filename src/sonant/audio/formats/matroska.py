"""Size and duration in the header of a Matroska or WebM file (RFC 8794, RFC 9559)."""

import struct
from typing import BinaryIO, NamedTuple

from sonant.audio.formats.spliced import read_at

_MAGIC = b"\x1aE\xdf\xa3"
_SEGMENT, _INFO, _CLUSTER = 0x18538067, 0x1549A966, 0x1F43B675
_TICK, _DURATION = 0x2AD7B1, 0x4489  # TimestampScale, in nanoseconds; Duration, in units of it
_LONGEST = 1e15  # seconds; longer durations, NaN and infinity are ignored
_MOST_ELEMENTS = 100  # before the sound; there are about ten


class Matroska(NamedTuple):
    """Expected size in bytes, and duration; None if not stated, duration also if another file is appended."""

    end: int | None
    seconds: float | None


def read_matroska(file: BinaryIO) -> Matroska:
    """Parse the elements before the first cluster of sound."""
    at, end, seconds = 0, None, None
    for _ in range(_MOST_ELEMENTS):
        element = _element(file, at)
        if element is None or element[0] == _CLUSTER:
            break
        name, begin, size = element
        if name == _SEGMENT:
            end, at = None if size is None else begin + size, begin
        elif size is None:
            break
        else:
            if name == _INFO:
                seconds = _seconds(file, begin, begin + size)
            at = begin + size
    is_joined = end is not None and read_at(file, end, len(_MAGIC)) == _MAGIC
    return Matroska(end, None if is_joined else seconds)


def _seconds(file: BinaryIO, at: int, end: int) -> float | None:
    tick, length = 1_000_000, None
    for _ in range(_MOST_ELEMENTS):
        name, begin, size = (_element(file, at) if at < end else None) or (0, 0, None)
        if size is None:
            break
        if name == _TICK:
            tick = int.from_bytes(read_at(file, begin, min(size, 8)), "big")
        elif name == _DURATION and size in (4, 8):
            data = read_at(file, begin, size)
            length = struct.unpack(">f" if size == 4 else ">d", data)[0] if len(data) == size else None
        at = begin + size
    seconds = 0.0 if length is None else length * tick / 1e9
    return seconds if 0 < seconds < _LONGEST else None


def _element(file: BinaryIO, at: int) -> tuple[int, int, int | None] | None:
    """Parse the element at an offset: id, offset of its content, size (None: unknown); None if invalid."""
    head = read_at(file, at, 12)
    name_bytes = 9 - head[0].bit_length() if head else 9
    if name_bytes > 4 or len(head) <= name_bytes or not head[name_bytes]:
        return None
    size_bytes = 9 - head[name_bytes].bit_length()
    begin = name_bytes + size_bytes
    mask = (1 << 7 * size_bytes) - 1
    size = int.from_bytes(head[name_bytes:begin], "big") & mask
    return int.from_bytes(head[:name_bytes], "big"), at + begin, None if size == mask else size

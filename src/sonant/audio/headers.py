"""How many bytes of sound the header of an uncompressed file promises, and where a header says less than the truth.

libsndfile shortens a cut WAV, AIFF, AU, CAF, W64 or NIST file in silence, so the promise is read here. Programs that
write to a pipe (ffmpeg, sox, arecord) cannot go back to fill in the length and leave a marker: those files promise
nothing and are good.
"""

import io
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

from sonant.audio.matroska import read_matroska

# 0x7FFF0000 upwards: GStreamer, sox, arecord; 0xFFFFFFFF: ffmpeg. All mean "until the end", less a header or rounding.
_STREAM_SIZES = (range(0x7FFF_0000, 0x8000_0001), range(0xFFFF_F000, 0x1_0000_0000))
_BOXES = frozenset(b"ftyp styp moov moof mdat free skip wide uuid meta sidx ssix mfra prft emsg pdin".split())
_MOST_BOXES = 100_000  # two in each fragment
_MOST_CHUNKS = 1000  # before the samples; a file of empty chunks would take seconds to walk through


@dataclass(frozen=True)
class Promise:
    """`end`: the file should reach this many bytes (None: the header does not say).

    `patch`: (offset, bytes) to lay over the header so that a length of 0, left by a stream, reads as "until the end".
    """

    end: int | None = None
    patch: tuple[int, bytes] | None = None


def read_promise(file: BinaryIO, size: int) -> Promise:
    """Read the chunk headers of `file` (`size` bytes); leaves the file at its beginning."""
    file.seek(0)
    head = file.read(40)
    match head[:4]:
        case b"RIFF" | b"RF64":
            promise = _riff(file, size, "<")
        case b"RIFX":
            promise = _riff(file, size, ">")
        case b"FORM":
            promise = _walk(file, size, start=12, layout=">4sI", data=b"SSND")
        case b"caff":
            promise = _walk(file, size, start=8, layout=">4sq", data=b"data")
        case b"riff":
            promise = _walk(file, size, start=40, layout="<16sq", data=b"data", inclusive=True)
        case b"NIST":
            promise = _nist(file)
        case b".snd" | b"dns.":
            promise = _au(head, "<" if head[:1] == b"d" else ">")
        case b"\x1aE\xdf\xa3":
            promise = Promise(read_matroska(file).end)
        case _:
            promise = Promise(_mp4(file, size) if head[4:8] == b"ftyp" else None)
    file.seek(0)
    return promise


def _riff(file: BinaryIO, size: int, order: str) -> Promise:
    offset, long_length = 12, None
    for _ in range(_MOST_CHUNKS):
        if offset + 8 > size:
            break
        file.seek(offset)
        name, length = struct.unpack(order + "4sI", file.read(8))
        begin = offset + 8
        if name == b"ds64" and length >= 16:  # EBU Tech 3306: the true lengths of a file beyond 4 GiB
            long_length = struct.unpack("<8xQ", file.read(16).ljust(16, b"\0"))[0]
        if name == b"data":
            if length == 0 and size > begin and not _is_chunk(file, begin, size, order):
                return Promise(patch=(offset + 4, b"\xff\xff\xff\xff"))
            if length == 0xFFFF_FFFF and long_length:
                length = long_length
            return Promise(None if _is_stream(length) else begin + length)
        offset = begin + length + length % 2
    return Promise(offset if offset > size + 1 else None)


def _walk(file: BinaryIO, size: int, *, start: int, layout: str, data: bytes, inclusive: bool = False) -> Promise:
    """Chunks of a name and a length; W64's lengths include their own header and are rounded up to 8 bytes."""
    header, offset = struct.calcsize(layout), start
    for _ in range(_MOST_CHUNKS):
        if offset + header > size:
            break
        file.seek(offset)
        name, length = struct.unpack(layout, file.read(header))
        if inclusive:
            length -= header
        if name.startswith(data):
            return Promise(None if length < 0 or _is_stream(length) else offset + header + length)
        if length < 0:
            return Promise()
        offset += header + (-(-length // 8) * 8 if inclusive else length + length % 2 * (layout == ">4sI"))
    return Promise(offset if offset > size + 8 else None)


def _au(head: bytes, order: str) -> Promise:
    if len(head) < 12:
        return Promise()
    offset, length = struct.unpack(order + "4xII", head[:12])
    return Promise(None if _is_stream(length) else offset + length)


def _nist(file: BinaryIO) -> Promise:
    """NIST SPHERE, the format of many speech corpora: a text header of its own stated size, then the samples."""
    file.seek(0)
    lines = file.read(1024).decode("ascii", "replace").splitlines()
    fields = dict(line.split(" -i ", 1) for line in lines if " -i " in line)
    try:
        samples, width = int(fields["sample_count"]), int(fields["sample_n_bytes"])
        end = int(lines[1]) + samples * width * int(fields.get("channel_count", 1))
    except (KeyError, ValueError, IndexError):
        return Promise()
    compressed = any("sample_coding" in line and "," in line for line in lines)  # such as "pcm,embedded-shorten-v2.00"
    return Promise(None if compressed else end)


def _mp4(file: BinaryIO, size: int) -> int | None:
    """Where the last of the boxes ends that ISO/IEC 14496-12 knows at the top of a file; others are not relied upon."""
    end = 0
    for _ in range(_MOST_BOXES):
        file.seek(end)
        head = file.read(16)
        length, name = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:  # written behind the name
            length = int.from_bytes(head[8:], "big")
        if len(head) < 8 or name not in _BOXES or length < 8:  # 0: until the end of the file
            break
        end += length
        if end >= size:
            break
    return end


def _is_stream(length: int) -> bool:
    return any(length in sizes for sizes in _STREAM_SIZES)


def _is_chunk(file: BinaryIO, offset: int, size: int, order: str) -> bool:
    """Whether a further chunk that fits the file starts here (then a length of 0 was meant)."""
    file.seek(offset)
    head = file.read(8)
    if len(head) < 8 or not head[:4].isascii() or not head[:4].decode("ascii").isprintable():
        return False
    return offset + 8 + struct.unpack(order + "I", head[4:])[0] <= size


class Patched(io.RawIOBase):
    """A binary file for libsndfile: a few bytes may be laid over it, and seeks to nowhere stay where they are."""

    def __init__(self, file: BinaryIO, offset: int = 0, patch: bytes = b"") -> None:
        self._file, self._offset, self._patch = file, offset, patch

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError):  # a damaged header sends libsndfile to places before the beginning
            return self._file.tell()

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any, /) -> int:
        begin, view = self._file.tell(), memoryview(buffer).cast("B")
        data = self._file.read(len(view))
        view[: len(data)] = data
        for index, byte in enumerate(self._patch, self._offset - begin):
            if 0 <= index < len(data):
                view[index] = byte
        return len(data)

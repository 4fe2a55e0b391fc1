"""End of the sound in an uncompressed file, from the length in its header and from the contents after it.

Programs that write to a pipe (ffmpeg, sox, arecord) cannot fill in the length later. They write a marker instead, and
the sound extends to the end of the file.
"""

from dataclasses import dataclass
from typing import BinaryIO

from sonant.audio.formats.chunks import Chunk, ChunkFormat, Trailing, read_trailing

# From 0x7FFF0000: GStreamer, sox, arecord; 0xFFFFFFFF: ffmpeg; some subtract a header or round down.
_MARKERS = (range(0x7FFF_0000, 0x8000_0001), range(0xFFFF_F000, 0x1_0000_0000))
_LONGEST = (1 << 63) - (1 << 16)  # ffmpeg writes 2^63 - 1 in W64, header included
WRAP = 1 << 32  # 32-bit lengths overflow here
FORGIVEN = 44  # bytes that may be missing: a WAV header, which some programs count as samples


@dataclass(frozen=True)
class Sound:
    """Extent of the sound in a file.

    Attributes:
        end: its end in bytes, or the end expected by the header.
        is_exact: the header states this end, and only complete chunks follow.
        behind: these chunks.
        note: an irregularity for a warning, as the beginning of a sentence.
    """

    end: int
    is_exact: bool = False
    behind: tuple[Chunk, ...] = ()
    note: str | None = None


def find_sound(file: BinaryIO, size: int, begin: int, length: int, chunk_format: ChunkFormat | None) -> Sound:
    """Find the end of sound that begins at `begin` and has a stated length of `length` bytes.

    `chunk_format=None`: a format without chunks. Raises SecondRecording.
    """
    is_short = chunk_format is None or chunk_format.header_size == 8  # lengths of 32 bits
    unknown, end = is_marker(length, is_short=is_short), begin + length
    if length < 0 or begin > size or (unknown and (end > size or size - end >= WRAP)):
        return Sound(max(begin, size))
    if end >= size:
        return Sound(size if end - size <= FORGIVEN else end, is_exact=end == size)
    if is_short and size - end >= WRAP:
        return _wrapped(file, size, begin, length, chunk_format)
    behind = _trailing(file, begin, length, size, chunk_format)
    if (unknown and behind is None) or (length == 0 and not (behind and behind.chunks)):
        return Sound(size)
    if behind is None:
        more = f"and {size - end} more stand behind them"
        return Sound(size, note=f"its header speaks of {length} bytes of sound, {more}")
    return Sound(end, behind.rest <= 1, tuple(behind.chunks))


def is_marker(length: int, *, is_short: bool = True) -> bool:
    """Return True for a marker of unknown length, in 32 bits or in 64."""
    return any(length in marker for marker in _MARKERS) if is_short else length < 0 or length >= _LONGEST


def _wrapped(file: BinaryIO, size: int, begin: int, length: int, chunk_format: ChunkFormat | None) -> Sound:
    true = length + (size - begin - length) // WRAP * WRAP
    behind = _trailing(file, begin, true, size, chunk_format)
    note = f"its header speaks of {length} bytes of sound, as it cannot count to the {size - begin} that there are"
    if behind is None:
        return Sound(size, note=note)
    return Sound(begin + true, behind=tuple(behind.chunks), note=note)


def _trailing(file: BinaryIO, begin: int, length: int, size: int, chunk_format: ChunkFormat | None) -> Trailing | None:
    sound = Chunk(b"", begin, begin, length)
    return read_trailing(
        file, sound.end if chunk_format is None else chunk_format.behind(file, sound), size, chunk_format
    )

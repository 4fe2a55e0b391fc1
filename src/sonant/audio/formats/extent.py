"""The end of the sound in an uncompressed file, by the length in its header and by what stands behind it.

Programs that write to a pipe (ffmpeg, sox, arecord) cannot go back to fill in a length and leave a marker: it states
no length, and the sound goes on to the end of the file.
"""

from dataclasses import dataclass
from typing import BinaryIO

from sonant.audio.formats.chunks import Behind, Chunk, Dialect, look_behind

# 0x7FFF0000 upwards: GStreamer, sox, arecord; 0xFFFFFFFF: ffmpeg. All mean "until the end", less a header or rounding.
_MARKERS = (range(0x7FFF_0000, 0x8000_0001), range(0xFFFF_F000, 0x1_0000_0000))
_LONGEST = (1 << 63) - (1 << 16)  # ffmpeg writes 2^63 - 1 into the 64 bits of a W64, header and all
WRAP = 1 << 32  # lengths of 32 bits start anew from 0 here
FORGIVEN = 44  # bytes that may be missing: the header of a WAV, which some programs count among the samples


@dataclass(frozen=True)
class Sound:
    """The bytes of sound in a file.

    Attributes:
        end: where they end, or should end by the header.
        is_exact: whether the header says just that, and nothing but whole chunks stands behind.
        behind: these chunks.
        note: an irregularity for a warning, as the beginning of a sentence.
    """

    end: int
    is_exact: bool = False
    behind: tuple[Chunk, ...] = ()
    note: str | None = None


def find_sound(file: BinaryIO, size: int, begin: int, length: int, dialect: Dialect | None) -> Sound:
    """Return where the sound ends that begins at `begin` and is `length` bytes long, as its header says.

    `dialect` is that of the chunks; None in a format without them. Raises SecondRecording.
    """
    is_short = dialect is None or dialect.header_size == 8  # lengths of 32 bits
    unknown, end = is_marker(length, is_short=is_short), begin + length
    if length < 0 or begin > size or (unknown and (end > size or size - end >= WRAP)):
        return Sound(max(begin, size))
    if end >= size:
        return Sound(size if end - size <= FORGIVEN else end, is_exact=end == size)
    if is_short and size - end >= WRAP:
        return _wrapped(file, size, begin, length, dialect)
    behind = _look_behind(file, begin, length, size, dialect)
    if (unknown and behind is None) or (length == 0 and not (behind and behind.chunks)):
        return Sound(size)
    if behind is None:
        more = f"and {size - end} more stand behind them"
        return Sound(size, note=f"its header speaks of {length} bytes of sound, {more}")
    return Sound(end, behind.rest <= 1, tuple(behind.chunks))


def is_marker(length: int, *, is_short: bool = True) -> bool:
    """Return whether this stands for an unknown length, in 32 bits or in 64."""
    return any(length in marker for marker in _MARKERS) if is_short else length < 0 or length >= _LONGEST


def _wrapped(file: BinaryIO, size: int, begin: int, length: int, dialect: Dialect | None) -> Sound:
    true = length + (size - begin - length) // WRAP * WRAP
    behind = _look_behind(file, begin, true, size, dialect)
    note = f"its header speaks of {length} bytes of sound, as it cannot count to the {size - begin} that there are"
    if behind is None:
        return Sound(size, note=note)
    return Sound(begin + true, behind=tuple(behind.chunks), note=note)


def _look_behind(file: BinaryIO, begin: int, length: int, size: int, dialect: Dialect | None) -> Behind | None:
    sound = Chunk(b"", begin, begin, length)
    return look_behind(file, sound.end if dialect is None else dialect.behind(file, sound), size, dialect)

"""Expected size of a file, for formats of which only completeness is checked."""

from typing import BinaryIO

from sonant.audio.formats.chunks import SecondRecording
from sonant.audio.formats.matroska import read_matroska
from sonant.audio.formats.spliced import read_at

_BOXES = frozenset(b"ftyp styp moov moof mdat free skip wide uuid meta sidx ssix mfra prft emsg pdin".split())
_MOST_BOXES = 100_000  # two in each fragment


def end_of_file(file: BinaryIO, size: int, head: bytes) -> int | None:
    """Return the expected size of a file with the first bytes `head`; None if not stated.

    Raises:
        SecondRecording: another mp4 begins after the first.
    """
    match head[:4]:
        case b"\x1aE\xdf\xa3":
            return read_matroska(file).end
        case b"Crea":  # Creative Voice File
            return _voc(file, size)
    if head[4:8] == b"ftyp":
        return _mp4(file, size)
    return _sds(head) if head[:2] == b"\xf0\x7e" and head[3:4] == b"\x01" else None


def _mp4(file: BinaryIO, size: int) -> int | None:
    """Return the end of the last box of a known type at the top level (ISO/IEC 14496-12)."""
    end, has_sound = 0, False
    for _ in range(_MOST_BOXES):
        head = read_at(file, end, 16)
        length, name = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:  # a 64-bit length follows the name
            length = int.from_bytes(head[8:], "big")
        if len(head) < 8 or name not in _BOXES or length < 8:  # 0: until the end of the file
            break
        if name == b"ftyp" and has_sound:
            raise SecondRecording(end)
        has_sound = has_sound or name == b"mdat"
        end += length
        if end >= size:
            break
    return end


def _voc(file: BinaryIO, size: int) -> int:
    """Return the end of the last block of a Creative Voice file; the terminator after it may be missing."""
    end = int.from_bytes(read_at(file, 20, 2), "little")
    for _ in range(_MOST_BOXES):
        head = read_at(file, end, 4)
        if len(head) < 4 or head[0] == 0 or end >= size:
            break
        end += 4 + int.from_bytes(head[1:], "little")
    return end


def _sds(head: bytes) -> int | None:
    """Return the expected end of a MIDI sample dump: packets of 127 bytes with 120 of samples, 7 bits in each."""
    if len(head) < 21:
        return None
    words = head[10] | head[11] << 7 | head[12] << 14
    per_packet = 120 // max(1, -(-head[6] // 7))
    return 21 + -(-words // max(1, per_packet)) * 127

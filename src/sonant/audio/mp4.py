"""The size of an mp4 file by the boxes that it is made of (ISO/IEC 14496-12)."""

from typing import BinaryIO

_BOXES = frozenset(b"ftyp styp moov moof mdat free skip wide uuid meta sidx ssix mfra prft emsg pdin".split())
_MOST_BOXES = 100_000  # two in each fragment


def end_of_boxes(file: BinaryIO, size: int) -> int | None:
    """Where the last of the boxes ends that are known at the top of a file; others are not relied upon."""
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

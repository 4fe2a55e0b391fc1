"""Tags before, between and after frames: ID3 (1 and 2), APE and Lyrics3."""

from typing import BinaryIO

HEAD = 32  # bytes that `tag_size` needs
_MOST_TAGS = 100  # a file of empty tags would take seconds to parse


def tag_size(head: bytes) -> int:
    """Size of the tag that begins with `head`; 0 if it is no tag."""
    if head[:3] == b"ID3" and len(head) >= 10 and max(head[6:10]) < 0x80:  # seven bits a byte
        size = sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        return 10 + size + (10 if head[5] & 0x10 else 0)
    if head[:8] == b"APETAGEX" and len(head) >= 24:
        is_header = head[23] & 0x20
        return 32 + (int.from_bytes(head[12:16], "little") if is_header else 0)
    if head[:3] == b"TAG":
        return 227 if head[3:4] == b"+" else 128
    return 0


def after_tags(file: BinaryIO) -> int:
    """Return the end of the tags at the beginning of a file; 0 without tags."""
    end = 0
    for _ in range(_MOST_TAGS):
        file.seek(end)
        size = tag_size(file.read(HEAD))
        if not size:
            break
        end += size
    return end


def before_tags(file: BinaryIO, size: int) -> int:
    """Return the offset of the tags at the end of a file of `size` bytes; `size` without tags."""
    end = size
    while True:
        begin = max(0, end - 32 - 128)
        file.seek(begin)
        foot = file.read(end - begin)
        if foot[-128:-125] == b"TAG" and len(foot) >= 128:
            end -= 128
        elif foot[-32:-24] == b"APETAGEX":
            has_header = foot[-9] & 0x80
            end -= int.from_bytes(foot[-20:-16], "little") + (32 if has_header else 0)
        elif foot[-9:] == b"LYRICS200" and foot[-15:-9].isdigit():
            end -= int(foot[-15:-9]) + 15
        elif foot[-10:-7] == b"3DI" and max(foot[-4:]) < 0x80:
            end -= tag_size(b"ID3" + foot[-7:]) + (0 if foot[-5] & 0x10 else 10)
        else:
            return end
        if end <= 0:
            return size

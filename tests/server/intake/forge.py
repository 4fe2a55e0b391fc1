"""Files written byte by byte, so that their headers can say anything."""

import struct
from collections.abc import Iterable, Sequence


def wav(
    data: bytes,
    *,
    rate: int = 16000,
    channels: int = 1,
    bits: int = 16,
    tag: int = 1,
    block: int | None = None,
    size: int | None = None,
    extra: bytes = b"",
    order: str = "<",
) -> bytes:
    """A RIFF file of one fmt and one data chunk; `size` is what the data chunk claims to hold, `extra` ends its fmt."""
    block = channels * bits // 8 if block is None else block
    fmt = struct.pack(
        order + "HHIIHH", tag, channels & 0xFFFF, rate, rate * block & 0xFFFFFFFF, block & 0xFFFF, bits & 0xFFFF
    )
    body = chunk(b"fmt ", fmt + extra, order=order) + chunk(b"data", data, size=size, order=order)
    return riff(body, order=order)


def riff(body: bytes, *, order: str = "<", size: int | None = None) -> bytes:
    name = b"RIFF" if order == "<" else b"RIFX"
    return name + struct.pack(order + "I", 4 + len(body) if size is None else size) + b"WAVE" + body


def chunk(name: bytes, data: bytes, *, size: int | None = None, order: str = "<") -> bytes:
    return name + struct.pack(order + "I", len(data) if size is None else size) + data + b"\0" * (len(data) % 2)


def flac(
    frames: int, *, rate: int = 16000, channels: int = 1, promised: int | None = None, block: int = 65535
) -> bytes:
    """So many FLAC frames of digital silence, `block` samples each in a dozen bytes; `promised` samples in the header.

    Source: RFC 9639, sections 8.2 and 9.
    """
    promised = frames * block if promised is None else promised
    packed = rate << 44 | (channels - 1) << 41 | 15 << 36 | promised
    head = struct.pack(">HH6sQ16s", block, block, bytes(6), packed, bytes(16))
    constant = b"\0\0\0" * channels
    parts = [b"fLaC\x80\0\0\x22", head]
    for number in range(frames):
        frame = b"\xff\xf8" + bytes([0x70, (channels - 1) << 4 | 8]) + _utf8(number) + struct.pack(">H", block - 1)
        frame += bytes([_crc(frame, 0x07, 8)]) + constant
        parts += [frame, struct.pack(">H", _crc(frame, 0x8005, 16))]
    return b"".join(parts)


def ogg(pages: Iterable[tuple[int, Sequence[bytes]]], *, crc: bool = True) -> bytes:
    """Pages of (position of their end, packets below 255 bytes). Source: RFC 3533, section 6."""
    parts = []
    for number, (position, packets) in enumerate(pages):
        flags = 2 if number == 0 else 0
        head = b"OggS\0" + struct.pack("<BqIII", flags, position, 1, number, 0)
        page = head + bytes([len(packets), *map(len, packets)]) + b"".join(packets)
        parts.append(page[:22] + struct.pack("<I", _crc(page, 0x04C11DB7, 32) if crc else 0) + page[26:])
    return b"".join(parts)


def opus(packets: int, *, promised: int | None = None, channels: int = 1, per_page: int = 250) -> bytes:
    """So many Opus packets of 120 ms of nothing, a byte each; `promised` samples (at 48 kHz) in the last page."""
    nothing = b"\x19"  # two frames of 60 ms, both empty (RFC 6716, section 3.1)
    head = b"OpusHead\x01" + struct.pack("<BHIhB", channels, 312, 48000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 0) + struct.pack("<I", 0)
    pages: list[tuple[int, Sequence[bytes]]] = [(0, [head]), (0, [tags])]
    done = 0
    while done < packets:
        count = min(per_page, packets - done)
        done += count
        pages.append((done * 5760, [nothing] * count))
    if promised is not None:
        pages[-1] = (promised, pages[-1][1])
    return ogg(pages)


def mp3(frames: int) -> bytes:
    """So many frames of 72 ms of silence, 72 bytes each: MPEG 2.5, layer III, 8 kHz, 8 kbit/s, mono."""
    return (b"\xff\xe3\x18\xc0" + bytes(68)) * frames


def id3(size: int, *, claimed: int | None = None) -> bytes:
    """An ID3v2 tag of `size` zeros."""
    claimed = size if claimed is None else claimed
    return b"ID3\x04\0\0" + bytes(claimed >> shift & 0x7F for shift in (21, 14, 7, 0)) + bytes(size)


def box(name: bytes, data: bytes = b"", *, size: int | None = None) -> bytes:
    """Of an mp4 file."""
    return struct.pack(">I", 8 + len(data) if size is None else size) + name + data


def patched(data: bytes, offset: int, new: bytes) -> bytes:
    """The same with a few bytes written over."""
    return data[:offset] + new + data[offset + len(new) :]


def _utf8(number: int) -> bytes:
    return chr(number).encode("utf-8", "surrogatepass")


def _crc(data: bytes, polynomial: int, width: int) -> int:
    table, shift, mask = _table(polynomial, width), width - 8, (1 << width) - 1
    value = 0
    for byte in data:
        value = (value << 8 & mask) ^ table[value >> shift ^ byte]
    return value


_TABLES: dict[tuple[int, int], list[int]] = {}


def _table(polynomial: int, width: int) -> list[int]:
    if (polynomial, width) not in _TABLES:
        table = []
        for byte in range(256):
            value = byte << width - 8
            for _ in range(8):
                value = (value << 1 ^ (polynomial if value >> width - 1 else 0)) & ((1 << width) - 1)
            table.append(value)
        _TABLES[polynomial, width] = table
    return _TABLES[polynomial, width]

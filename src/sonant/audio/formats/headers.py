"""Checks of the headers of uncompressed files, and corrections for decoders.

Decoders trust the stated length, silently accept truncated files, and fail on unknown chunks. So headers are parsed
here first, and irregular files are passed to the decoder with a new header.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from sonant.audio.formats.chunks import MOST_CHUNKS, Chunk, ChunkFormat, SecondRecording
from sonant.audio.formats.extent import FORGIVEN, WRAP, find_sound, is_marker
from sonant.audio.formats.sizes import end_of_file
from sonant.audio.formats.spliced import Piece, read_at
from sonant.errors import UndecodableAudio

_MPEG_AUDIO = (0x50, 0x55)  # format codes in WAV: MPEG layers 1 and 2, layer 3

_READ_BY_LIBSNDFILE = (b"RIFF", b"RIFX", b"RF64")  # with any chunks; it refuses some in W64
_PLAIN = (b"lpcm", b"alaw", b"ulaw")  # format codes of uncompressed sound in CAF


@dataclass(frozen=True)
class HeaderCheck:
    """Result of checking a header.

    Attributes:
        end: expected size of the file in bytes; None if not stated.
        pieces: parts of the file, and new headers, for the decoder; None for the unchanged file.
        note: an irregularity for a warning, as the end of a sentence.
    """

    end: int | None = None
    pieces: tuple[Piece, ...] | None = None
    note: str | None = None


@dataclass(frozen=True)
class _Leading:
    """Chunks before the sound by name, the chunk of the sound, and the offset of the end if there is none.

    `is_regular`: chunks of odd length are padded, and LIST chunks have a type, as decoders expect.
    """

    chunks: dict[bytes, Chunk]
    sound: Chunk | None
    at: int
    is_regular: bool


def check_header(file: BinaryIO, size: int, name: str) -> HeaderCheck:
    """Check the header of a file of `size` bytes. Raises UndecodableAudio: several recordings, or too many chunks."""
    head = read_at(file, 0, 40)
    try:
        check = _read(file, size, head)
    except SecondRecording as second:
        raise UndecodableAudio(
            f"{name}: a second recording begins at byte {second.at} of {size}, behind the sound of the first. Files of "
            "this format cannot be joined byte by byte: give the recordings one by one."
        ) from None
    except _TooManyChunks:
        raise UndecodableAudio(
            f"{name}: more than {MOST_CHUNKS} chunks before the sound. It is damaged, or made to be slow: write it "
            "again (ffmpeg -i OLD NEW)."
        ) from None
    except _TooLong:
        raise UndecodableAudio(
            f"{name}: a RIFX file (a WAV of another order of bytes) of more than 4 GiB, which nothing reads: write it "
            "again as RF64 or W64."
        ) from None
    file.seek(0)
    return check


class _TooManyChunks(Exception):
    """More than MOST_CHUNKS chunks before the sound, which would slow decoders down."""


class _TooLong(Exception):
    """More sound than the size field of the format can express."""


def _read(file: BinaryIO, size: int, head: bytes) -> HeaderCheck:
    check = HeaderCheck()
    match head[:4], head[8:12]:
        case ((b"RIFF" | b"RF64" | b"BW64"), b"WAVE"):
            check = _wave(file, size, ChunkFormat("<4sI", 2), 12)
        case b"RIFX", b"WAVE":
            check = _wave(file, size, ChunkFormat(">4sI", 2), 12)
        case b"riff", _:
            check = _wave(file, size, ChunkFormat("<16sq", 8, counts_header=True), 40)
        case b"FORM", (b"AIFF" | b"AIFC"):
            check = _aiff(file, size, head)
        case ((b"RIFF" | b"RIFX" | b"FORM"), _):  # AVI, 8SVX
            check = _others(file, size, ChunkFormat("<4sI" if head[:4] == b"RIFF" else ">4sI", 2))
        case b"caff", _:
            check = _caf(file, size)
        case b"NIST", _:
            check = _nist(file, size)
        case ((b".snd" | b"dns."), _):
            check = _au(file, size, head, "<" if head[:1] == b"d" else ">")
        case _:
            check = HeaderCheck(end_of_file(file, size, head))
    return check


def _wave(file: BinaryIO, size: int, chunk_format: ChunkFormat, start: int) -> HeaderCheck:
    """Check WAV, RF64, BW64, RIFX or W64; their chunks are the same, so all can be decoded as WAV, or RF64 if long."""
    before = _read_leading(file, chunk_format, start, b"data")
    form, data = before.chunks.get(b"fmt "), before.sound
    if data is None or form is None:
        return HeaderCheck(before.at if data is None and before.at > size + chunk_format.multiple else None)
    sizes, length = before.chunks.get(b"ds64"), data.length
    if length == 0xFFFF_FFFF and sizes is not None and sizes.length >= 16:
        length = (
            int.from_bytes(read_at(file, sizes.begin + 8, 8), "little") or length
        )  # EBU Tech 3306: the true length beyond 4 GiB
    sound = find_sound(file, size, data.begin, length, chunk_format)
    more = [chunk for chunk in sound.behind if chunk.name == b"data" and chunk.length]
    if sound.end > size:
        return HeaderCheck(sound.end)
    ranges = [(data.begin, sound.end), *((chunk.begin, min(chunk.end, size)) for chunk in more)]
    order = chunk_format.layout[0]
    if int.from_bytes(read_at(file, form.begin, 2), "little" if order == "<" else "big") in _MPEG_AUDIO:
        return HeaderCheck(sound.end, tuple(ranges), sound.note)
    if read_at(file, 0, 4) in _READ_BY_LIBSNDFILE and sound.is_exact and before.is_regular and not more:
        return HeaderCheck(sound.end)
    return HeaderCheck(sound.end, _as_wav(form, ranges, order), sound.note)


def _as_wav(form: Chunk, ranges: Sequence[tuple[int, int]], order: str) -> tuple[Piece, ...]:
    length = sum(end - begin for begin, end in ranges)
    pad = b"\0" * (form.length % 2)
    described = (struct.pack(order + "4sI", b"fmt ", form.length), (form.begin, form.end), pad)
    if length < WRAP - (1 << 20):
        head = struct.pack(order + "4sI4s", b"RIFF" if order == "<" else b"RIFX", length + form.length + 32, b"WAVE")
        return head, *described, struct.pack(order + "4sI", b"data", length), *ranges
    if order == ">":
        raise _TooLong
    head = struct.pack(
        "<4sI4s4sIQQQI", b"RF64", 0xFFFF_FFFF, b"WAVE", b"ds64", 28, length + form.length + 80, length, 0, 0
    )
    return head, *described, struct.pack("<4sI", b"data", 0xFFFF_FFFF), *ranges


def _aiff(file: BinaryIO, size: int, head: bytes) -> HeaderCheck:
    chunk_format = ChunkFormat(">4sI", 2)
    before = _read_leading(file, chunk_format, 12, b"SSND")
    data = before.sound
    if data is None:
        return HeaderCheck(before.at if before.at > size + chunk_format.multiple else None)
    sound = find_sound(file, size, data.begin, data.length, chunk_format)
    behind = {chunk.name: chunk for chunk in sound.behind}
    needed = [before.chunks.get(name) or behind.get(name) for name in (b"FVER", b"COMM")]
    is_plain = sound.is_exact and not behind and set(before.chunks) <= {b"FVER", b"COMM"}
    if sound.end > size or is_plain or needed[1] is None:
        return HeaderCheck(sound.end)
    described = [(chunk.at, chunk.end + chunk.length % 2) for chunk in needed if chunk is not None]
    length = sound.end - data.begin
    stated = length if length < WRAP - (1 << 20) else 0  # 0: libsndfile reads to the end
    total = stated and 12 + sum(end - begin for begin, end in described) + length
    form = struct.pack(">4sI4s", b"FORM", total, head[8:12])
    return HeaderCheck(
        sound.end, (form, *described, struct.pack(">4sI", b"SSND", stated), (data.begin, sound.end)), sound.note
    )


def _caf(file: BinaryIO, size: int) -> HeaderCheck:
    """Check CAF; libsndfile 1.2 decodes chunks of 64 KiB or zeros before the sound as samples."""
    chunk_format = ChunkFormat(">4sq")
    before = _read_leading(file, chunk_format, 8, b"data")
    data = before.sound
    if data is None:
        return HeaderCheck(before.at if before.at > size + chunk_format.header_size else None)
    sound = find_sound(file, size, data.begin, data.length, chunk_format)
    behind = {chunk.name: chunk for chunk in sound.behind}
    if sound.end > size or (sound.is_exact and not behind and set(before.chunks) == {b"desc"}):
        return HeaderCheck(sound.end)
    description = before.chunks.get(b"desc")
    if description is None:
        return HeaderCheck(sound.end)
    compressed = (
        () if read_at(file, description.begin + 8, 4) in _PLAIN else (b"kuki", b"pakt")
    )  # decoders need these for packets
    needed = [before.chunks.get(name) or behind.get(name) for name in compressed]
    pieces: tuple[Piece, ...] = (
        (0, 8),
        (description.at, description.end),
        struct.pack(">4sq", b"data", sound.end - data.begin),
        (data.begin, sound.end),
        *((chunk.at, chunk.end) for chunk in needed if chunk is not None),
    )
    return HeaderCheck(sound.end, pieces, sound.note)


def _others(file: BinaryIO, size: int, chunk_format: ChunkFormat) -> HeaderCheck:
    """Check other files of chunks: none may extend beyond the end of the file."""
    for chunk in chunk_format.walk(file, 12):
        if chunk.end > size + FORGIVEN:
            return HeaderCheck(None if is_marker(chunk.length) else chunk.end)
    return HeaderCheck()


def _au(file: BinaryIO, size: int, head: bytes, order: str) -> HeaderCheck:
    if len(head) < 24:
        return HeaderCheck()
    begin, length = struct.unpack(order + "4xII", head[:12])
    sound = find_sound(file, size, begin, length, None)
    if sound.end > size or sound.is_exact:
        return HeaderCheck(sound.end)
    length = min(sound.end - begin, WRAP - 1)  # WRAP - 1: libsndfile reads to the end
    return HeaderCheck(sound.end, ((0, 8), struct.pack(order + "I", length), (12, sound.end)), sound.note)


def _nist(file: BinaryIO, size: int) -> HeaderCheck:
    """Check NIST SPHERE: a text header with its own size, then samples. libsndfile ignores the number of samples."""
    lines = read_at(file, 0, 1024).decode("ascii", "replace").splitlines()
    fields = {parts[0]: parts[2] for line in lines if len(parts := line.split()) == 3}  # name, type, value
    try:
        samples, width = int(fields["sample_count"]), int(fields["sample_n_bytes"])
        begin, length = int(lines[1]), samples * width * int(fields.get("channel_count", 1))
    except (KeyError, ValueError, IndexError):
        return HeaderCheck()
    if "," in fields.get("sample_coding", ""):  # compressed, such as "pcm,embedded-shorten-v2.00"
        return HeaderCheck()
    sound = find_sound(file, size, begin, max(length, 0), None)
    return HeaderCheck(sound.end, None if sound.end >= size else ((0, sound.end),), sound.note)


def _read_leading(file: BinaryIO, chunk_format: ChunkFormat, start: int, name: bytes) -> _Leading:
    chunks: dict[bytes, Chunk] = {}
    at, is_regular, count = start, True, 0
    for chunk in chunk_format.walk(file, start):
        is_regular = is_regular and chunk.at == at and (chunk.name != b"LIST" or chunk.length >= 4)
        if chunk.name == name:
            return _Leading(chunks, chunk, at, is_regular)
        chunks.setdefault(chunk.name, chunk)
        at = chunk.end + -chunk.length % chunk_format.multiple
        count += 1
    if count == MOST_CHUNKS:
        raise _TooManyChunks
    return _Leading(chunks, None, at, is_regular)

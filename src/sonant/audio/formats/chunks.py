"""Chunks (name, length, content) of WAV and its variants, AIFF, CAF and W64."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from sonant.audio.formats.id3 import HEAD, tag_size
from sonant.audio.formats.spliced import read_at

MOST_CHUNKS = 1000  # a file of empty chunks would take seconds to parse
STRAY = 256  # bytes after the last chunk that are ignored: some milliseconds of sound at most
_PADDING = 1 << 16  # zeros after the last chunk that are ignored: padding to a disk block
_RECORDINGS = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM", b"caff", b"riff", b".snd", b"NIST", b"fLaC", b"OggS")
_NOTES = frozenset(  # chunks without sound, which may be truncated; in capitals
    name.encode().ljust(4)
    for name in (
        "LIST ID3 CUE BEXT IXML AXML CHNA SMPL JUNK PAD FLLR FACT INST AFSP _PMX PLST LABL NOTE CART LEVL DISP MARK "
        "ANNO NAME AUTH COMT APPL COMM INFO UUID FREE REGN UMID STRG PAKT"
    ).split()
)


@dataclass(frozen=True)
class Chunk:
    """A chunk with header at offset `at`, content at offset `begin`, and stated `length` of the content in bytes."""

    name: bytes
    at: int
    begin: int
    length: int

    @property
    def end(self) -> int:
        return self.begin + self.length

    def is_plausible(self, size: int) -> bool:
        """Return True for a chunk, rather than other bytes, in a file of `size` bytes; `_NOTES` may be truncated."""
        return _is_name(self.name) and self.length >= 0 and (self.end <= size or self.name.upper() in _NOTES)


@dataclass(frozen=True)
class ChunkFormat:
    """The form of chunk headers in a family of formats.

    Attributes:
        layout: of a header, for `struct`: name (of at least four bytes) and length.
        multiple: chunks are padded to a multiple of this many bytes.
        counts_header: the length includes the header.
    """

    layout: str
    multiple: int = 1
    counts_header: bool = False

    @property
    def header_size(self) -> int:
        return struct.calcsize(self.layout)

    def read(self, file: BinaryIO, at: int) -> Chunk | None:
        """Read the chunk header at an offset; None at the end of the file."""
        header = read_at(file, at, self.header_size)
        if len(header) < self.header_size:
            return None
        name, length = struct.unpack(self.layout, header)
        return Chunk(name[:4], at, at + self.header_size, length - (self.header_size if self.counts_header else 0))

    def behind(self, file: BinaryIO, chunk: Chunk) -> int:
        """Return the offset of the next chunk; some programs omit the padding."""
        padded = chunk.end + -chunk.length % self.multiple
        if padded == chunk.end:
            return padded
        both = read_at(file, chunk.end, self.multiple + 4)
        is_padded = not any(both[: padded - chunk.end]) or _is_name(both[padded - chunk.end :][:4])
        return padded if is_padded or not _is_name(both[:4]) else chunk.end

    def walk(self, file: BinaryIO, at: int) -> Iterator[Chunk]:
        """Yield the chunks from an offset on, at most MOST_CHUNKS."""
        for _ in range(MOST_CHUNKS):
            chunk = self.read(file, at)
            if chunk is None:
                break
            yield chunk
            if chunk.length < 0:
                break
            at = self.behind(file, chunk)


class Trailing(NamedTuple):
    """Contents of a file after the sound: chunks, and number of other bytes."""

    chunks: list[Chunk]
    rest: int


def read_trailing(file: BinaryIO, at: int, size: int, chunk_format: ChunkFormat | None) -> Trailing | None:
    """Parse chunks, tags, padding and stray bytes after the sound; None for anything else, which may be sound.

    Raises:
        SecondRecording: another recording begins there.
    """
    chunks: list[Chunk] = []
    tags = 0
    for _ in range(MOST_CHUNKS):
        head = read_at(file, at, HEAD)
        if head[:4] in _RECORDINGS and size - at > STRAY:
            raise SecondRecording(at)
        chunk = None if chunk_format is None else chunk_format.read(file, at)
        if length := tag_size(head):
            at, tags = at + length, tags + length
        elif chunk_format is not None and chunk is not None and chunk.is_plausible(size):
            chunks.append(chunk)
            at = chunk_format.behind(file, chunk)
        elif size - at <= STRAY:
            return Trailing(chunks, tags + max(0, size - at))
        else:
            break
    else:
        return Trailing(chunks, tags + size - at)
    is_padding = size - at <= _PADDING and not any(read_at(file, at, _PADDING))
    return Trailing(chunks, tags + size - at) if is_padding else None


class SecondRecording(Exception):
    """Another recording begins at offset `at`, after the sound of the first."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(0x20 <= letter < 0x7F for letter in name)

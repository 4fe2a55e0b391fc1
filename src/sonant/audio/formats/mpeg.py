"""Frames of MPEG audio (layers I to III), and the tag in the first one with the number of frames.

Frame headers: ISO/IEC 11172-3, 2.4.1.3 and 2.4.2.3; half rates: ISO/IEC 13818-3. The tags of Xing (with LAME's encoder
delay) and Fraunhofer (VBRI) are not standardized; they are parsed as their encoders write them.
"""

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

TAG_REACH = 192  # most bytes from the start of a frame to the end of its tag
TAG_NAMES = (b"Xing", b"Info", b"VBRI")

KIND_BITS = 0x1E0C  # version, layer and rate in the second and third byte of a header

# kbit/s by (MPEG 1 or not, layer), from index 1; 0 is free format and 15 invalid.
_LOW = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_BITRATES = {
    (True, 1): tuple(range(32, 449, 32)),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): _LOW,
    (False, 3): _LOW,
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # of MPEG 1, 2, 2.5
_SIDE_INFO = {(True, 1): 17, (True, 2): 32, (False, 1): 9, (False, 2): 17}  # bytes, by (MPEG 1 or not, channels)
_DECODER_DELAY = 529  # samples, of all decoders of layer III; not included in LAME's tag
_TAG_SIZE = 36  # bytes of Xing's tag with LAME's extension and one field


class Kind(NamedTuple):
    """Properties shared by the frames of a recording."""

    version: int  # 3, 2 and 0: MPEG 1, 2 and 2.5
    layer: int
    rate: int
    channels: int

    @property
    def samples(self) -> int:
        """Samples per channel and frame."""
        if self.layer == 1:
            return 384
        return 576 if self.layer == 3 and self.version != 3 else 1152

    @property
    def bits(self) -> int:
        """Version, layer and rate as encoded in the second and third byte of a header."""
        return self.version << 11 | (4 - self.layer) << 9 | _RATES[self.version].index(self.rate) << 2


class Header(NamedTuple):
    """Header of a frame of `size` bytes, with padding."""

    size: int
    kind: Kind
    bytes_per_frame: float  # on average at this bit rate


@lru_cache(maxsize=4096)
def read_header(head: bytes) -> Header | None:
    """Parse a header of four bytes; None if invalid, or free format, which has no length."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bitrate_index, rate_index, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or bitrate_index in (0, 15) or rate_index == 3:
        return None
    kind = Kind(version, layer, _RATES[version][rate_index], 1 if head[3] >> 6 == 3 else 2)
    bits = 1000 * _BITRATES[version == 3, layer][bitrate_index - 1]
    slot = 4 if layer == 1 else 1  # padding adds one
    bytes_per_frame = kind.samples / 8 * bits / kind.rate
    return Header((kind.samples // 8 * bits // (kind.rate * slot) + padding) * slot, kind, bytes_per_frame)


@cache
def frame_sizes() -> NDArray[np.uint16]:
    """Size of a frame (65536,) by the second and third byte of its header, as one number; 0 if invalid."""
    sizes = np.zeros(1 << 16, np.uint16)
    for pair in range(0xE200, 1 << 16):
        header = read_header(bytes((0xFF, pair >> 8, pair & 0xFF, 0))) if pair & 0x0600 and pair & 0xF0 else None
        sizes[pair] = header.size if header is not None else 0
    return sizes


@cache
def sizes_of_kind(bits: int) -> list[int]:
    """`frame_sizes` of one version, layer and rate (`Kind.bits`); 0 for others."""
    same: list[int] = np.where((np.arange(1 << 16) ^ bits) & KIND_BITS, 0, frame_sizes()).tolist()
    return same


@dataclass(frozen=True)
class Tag:
    """Tag in the first frame, which describes the following frames.

    Attributes:
        frames: number of frames that follow (some encoders include the tag's frame); None if not stated.
        frames_place: offset of this number in the tag's frame; four bytes, big-endian.
        size: bytes from the start of the tag's frame to the end of the last frame; None if not stated.
        is_constant: all frames have one bit rate.
        is_believed: libsndfile recognizes the tag; otherwise it decodes its frame as silence.
        trimmed: samples of encoder delay and padding that decoders remove.
    """

    frames: int | None
    frames_place: int
    size: int | None
    is_constant: bool
    is_believed: bool
    trimmed: int


def read_tag(frame: bytes) -> Tag | None:
    """Parse the tag in a frame of layer III, from its first TAG_REACH bytes at least; None for a frame of sound."""
    header = read_header(frame[:4])
    if header is None or header.kind.layer != 3:
        return None
    for place in tag_places(header.kind):
        if frame[place : place + 4] in TAG_NAMES[:2]:
            return _xing(frame[: header.size], header.kind, place)
    return _vbri(frame) if frame[36:40] == b"VBRI" else None


def counting_frames(head: bytes, frames: int) -> bytes:
    """Make bytes to put before `frames` frames of layer III, with header `head`, so that decoders decode all of them.

    They are a frame with a tag, by which decoders remove the first samples, and a frame of silence to be removed.
    """
    bitrate, place = 0, 0
    header: Header | None = None
    while header is None or header.size < place + _TAG_SIZE:
        bitrate += 1
        head = bytes((0xFF, head[1] | 1, bitrate << 4 | head[2] & 0x0C, head[3]))  # no checksum
        header = read_header(head)
        place = tag_places(header.kind)[0] if header is not None else 0
    both = header.kind.samples - _DECODER_DELAY << 12 | _DECODER_DELAY  # delay; padding, zero after the decoder's delay
    tag = b"Xing" + (1).to_bytes(4, "big") + (frames + 1).to_bytes(4, "big") + b"LAME".ljust(21, b"\0")
    frame = head + bytes(place - 4) + tag + both.to_bytes(3, "big")
    return frame.ljust(header.size, b"\0") + head + bytes(header.size - 4)


def tag_places(kind: Kind) -> tuple[int, int]:
    """Offsets of Xing's tag in a frame, without and with a checksum; some encoders use the first for both."""
    place = 4 + _SIDE_INFO[kind.version == 3, kind.channels]
    return place, place + 2


def _xing(frame: bytes, kind: Kind, place: int) -> Tag:
    flags = int.from_bytes(frame[place + 4 : place + 8], "big")
    at, fields = place + 8, dict[int, int]()
    for flag, length in ((1, 4), (2, 4), (4, 100), (8, 4)):  # frames, bytes, table of contents, quality
        if flags & flag:
            fields[flag] = int.from_bytes(frame[at : at + length], "big") if length == 4 else 0
            at += length
    has_checksum = not frame[1] & 1
    is_believed = place == tag_places(kind)[has_checksum] and not any(frame[6 if has_checksum else 4 : place])
    extension = frame[at : at + 24]  # LAME's: 9 bytes of name, and at 21 delay and padding in 12 bits each
    trimmed = _DECODER_DELAY
    if len(extension) == 24 and extension[0]:
        both = int.from_bytes(extension[21:24], "big")
        delay, padding = both >> 12, both & 0xFFF
        trimmed += delay + max(0, padding - _DECODER_DELAY)
    return Tag(fields.get(1), place + 8, fields.get(2), frame[place : place + 4] == b"Info", is_believed, trimmed)


def _vbri(frame: bytes) -> Tag | None:
    if len(frame) < 54:
        return None
    size, frames = (int.from_bytes(frame[at : at + 4], "big") for at in (46, 50))
    return Tag(frames, 50, size, False, False, 0)

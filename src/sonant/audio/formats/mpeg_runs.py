"""Runs of consecutive MPEG frames, found by following frame headers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from sonant.audio.formats.id3 import HEAD, tag_size
from sonant.audio.formats.lookahead import CHUNK, Lookahead
from sonant.audio.formats.mpeg import (
    KIND_BITS,
    TAG_NAMES,
    TAG_REACH,
    Header,
    Kind,
    Tag,
    frame_sizes,
    read_header,
    read_tag,
    sizes_of_kind,
)

_AHEAD = 1 << 14  # more than three frames
_MOST_TAGS = 100  # consecutive ones
_FARTHEST = 1 << 20  # most bytes before the first frame, such as a picture in a tag with a wrong size
_MOST_FALSE = 100
_CERTAIN = 5  # consecutive frames, which other data does not have by chance


@dataclass
class Run:
    """Consecutive frames of one kind; offsets in bytes.

    Attributes:
        begin: offset of the first frame.
        sound: offset of the first frame after the tag's.
        end: end of the last frame.
        last: offset of the last frame.
        head: first four bytes.
        kind: of all frames.
        tag: in the first frame.
        starts_part: a recording begins here, by a tag or a new kind.
        junk: number of bytes before the run that are neither frames nor a known tag.
        frames: number of frames without the tag's.
        bytes_per_frame: on average; None for a variable bit rate.
        is_cut: the file ends within the next frame, or within a tag (ID3, APE).
    """

    begin: int
    sound: int
    end: int
    last: int
    head: bytes
    kind: Kind
    tag: Tag | None
    starts_part: bool
    junk: int = 0
    frames: int = 0
    bytes_per_frame: float | None = None
    is_cut: bool = False


def first_frame(file: BinaryIO, end: int) -> tuple[int, Header] | None:
    """Offset and header of the first frame, if only tags precede it and another frame follows."""
    walk = _Walk(file, end, chunk=_AHEAD)
    at = walk.after_tags(0)
    header = walk.header(at)
    return None if header is None or not walk.goes_on(at, header, frames=2) else (at, header)


def search_frame(file: BinaryIO, end: int) -> tuple[int, Header] | None:
    """Offset and header of a first frame within _FARTHEST bytes, with others of its kind behind it."""
    walk, at = _Walk(file, end), 0
    for _ in range(_MOST_FALSE):
        found = walk.search(at, None, before=_FARTHEST)
        if found is None:
            return None
        header = walk.header(found)
        if header is not None and walk.goes_on(found, header, frames=_CERTAIN, may_end=False):
            return found, header
        at = found + 1
    return None


def find_runs(file: BinaryIO, begin: int, end: int) -> Iterator[Run]:
    """Yield all runs between two offsets."""
    walk, at, starts_part = _Walk(file, end), begin, True
    previous: Run | None = None
    while at < end:
        header, junk = walk.header(at), 0
        kind = previous.kind if previous is not None else None
        adjoins = previous is not None and at == previous.end
        is_known = header is not None and kind in (header.kind, None)
        if header is None or not walk.goes_on(at, header, frames=1 if is_known else 3):
            # A damaged header may have a wrong length, so that the next frame begins within the last one.
            found = walk.search(previous.last + 1 if previous is not None and adjoins and previous.frames else at, kind)
            if found is None:
                break
            if previous is not None and found < previous.end:
                previous.frames, previous.end = previous.frames - 1, previous.last
                at = previous.end
            at, junk = found, found - at
        elif adjoins:
            starts_part = True
        if previous is not None:
            yield previous
        previous = walk.run(at, starts_part=starts_part)
        previous.junk = junk
        if previous.is_cut:
            break
        at = walk.after_tags(previous.end)
        starts_part = at != previous.end
        previous.is_cut = at > end
    if previous is not None:
        yield previous


class _Walk:
    """Parser of frames in a window that moves forward in the file."""

    def __init__(self, file: BinaryIO, end: int, *, chunk: int = CHUNK) -> None:
        self._window = Lookahead(file, end, chunk=chunk)
        self._searched, self._may_hold_tags = b"", False

    def header(self, at: int) -> Header | None:
        return read_header(self._window.peek(at, 4))

    def after_tags(self, at: int) -> int:
        """Return the end of the tags (ID3, APE) at an offset."""
        for _ in range(_MOST_TAGS):
            size = tag_size(self._window.peek(at, HEAD))
            if not size:
                break
            at += size
        return at

    def goes_on(self, at: int, header: Header, *, frames: int, may_end: bool = True) -> bool:
        """Return True if `frames` frames of one kind begin here, or (`may_end`) fewer up to the end or a tag."""
        for _ in range(frames - 1):
            at += header.size
            if may_end and (at == self._window.end or self.after_tags(at) > at):
                return True
            following = self.header(at)
            if following is None or following.kind != header.kind:
                return False
            header = following
        return True

    def search(self, at: int, kind: Kind | None, *, before: int | None = None) -> int | None:
        """Find the next two consecutive frames of the given kind, or three of another; fewer at the end of the file.

        It is vectorized over the window, since a hostile file has a frame header at every fourth byte.
        """
        reach = _AHEAD
        while at + 4 <= self._window.end and (before is None or at < before):
            local = self._window.see(at, 2 * _AHEAD)
            is_last = self._window.begin + len(self._window.data) >= self._window.end
            limit = min(len(self._window.data) - (0 if is_last else _AHEAD), local + reach)
            data = np.frombuffer(self._window.data, np.uint8)
            found = _first_in_a_row(data, local, limit, kind, is_last=is_last)
            if found is not None:
                return self._window.begin + found
            at, reach = self._window.begin + max(limit, local + 1), 2 * reach
        return None

    def run(self, at: int, *, starts_part: bool) -> Run:
        """Parse the run that begins with the frame at an offset."""
        head = self._window.peek(at, TAG_REACH)
        header, tag = read_header(head[:4]), read_tag(head)
        assert header is not None
        begin, end, kind = at, self._window.end, header.kind
        at = min(at + header.size, end) if tag is not None else at
        run = Run(begin, at, at, begin, head[:4], kind, tag, starts_part or tag is not None)
        promised = begin + tag.size if tag is not None and tag.size is not None else None
        sizes, is_mono = sizes_of_kind(kind.bits), kind.channels == 1
        last, frames, bitrate, is_constant = begin, 0, -1, True
        data, first, limit, may_hold_tags = b"", 0, -1, False  # of the window
        while at + 4 <= end:
            local = at - first
            if local > limit:
                local = self._window.see(at, TAG_REACH)
                data, first = self._window.data, self._window.begin
                is_last = first + len(data) >= end
                limit = len(data) - (4 if is_last else TAG_REACH)
                may_hold_tags = self._names_tags(data)
            third = data[local + 2]
            size = sizes[data[local + 1] << 8 | third]
            if not size or data[local] != 0xFF or (data[local + 3] >= 0xC0) is not is_mono:
                break
            if may_hold_tags and frames and read_tag(data[local : local + TAG_REACH]) is not None:
                break
            if at == promised and tag is not None and frames == tag.frames:
                break
            if at + size > end:
                run.is_cut = True
                break
            if third & 0xF0 != bitrate:
                is_constant = bitrate < 0
                bitrate = third & 0xF0
            last, at, frames = at, at + size, frames + 1
        if 0 < end - at < 4 and self._window.peek(at, 1) == b"\xff":
            run.is_cut = True
        run.end, run.last, run.frames = at, last, frames
        if frames and is_constant:
            sound = self.header(run.sound)
            run.bytes_per_frame = sound.bytes_per_frame if sound is not None else None
        return run

    def _names_tags(self, data: bytes) -> bool:
        """Return True if frames in the window may have tags; cached for each window."""
        if data is not self._searched:
            self._searched, self._may_hold_tags = data, any(name in data for name in TAG_NAMES)
        return self._may_hold_tags


def _first_in_a_row(data: NDArray[np.uint8], begin: int, end: int, kind: Kind | None, *, is_last: bool) -> int | None:
    """Find the first offset in [begin, end) of `data` with two consecutive frames of `kind`, or three of another.

    `is_last`: fewer are enough at the end of the data.
    """
    places = begin + np.flatnonzero(data[begin : min(end, len(data) - 3)] == 0xFF)
    frame = _FramesAt(data, places)
    frame = _FramesAt(data, places[frame.sizes > 0])
    second = _FramesAt(data, frame.following)
    third = _FramesAt(data, second.following)
    ends = (frame.following == len(data)) & is_last
    twice = ends | frame.is_like(second)
    thrice = ends | frame.is_like(second) & (frame.is_like(third) | (second.following == len(data)) & is_last)
    is_known = np.zeros(len(twice), bool)
    if kind is not None:
        is_known = (frame.bits == kind.bits) & (frame.is_mono == (kind.channels == 1))
    found = np.flatnonzero(thrice | twice & is_known)
    return int(frame.places[found[0]]) if len(found) else None


class _FramesAt:
    """Frame headers at several offsets of an array of bytes; size 0 for an invalid one."""

    def __init__(self, data: NDArray[np.uint8], places: NDArray[np.int64]) -> None:
        self.places = places
        inside = places + 3 < len(data)
        at = np.where(inside, places, 0)
        pairs = data[at + 1].astype(np.uint16) << 8 | data[at + 2]
        self.sizes = np.where(inside & (data[at] == 0xFF), frame_sizes()[pairs], 0).astype(np.int64)
        self.bits, self.is_mono = pairs & KIND_BITS, data[at + 3] >= 0xC0
        self.following = places + self.sizes

    def is_like(self, other: "_FramesAt") -> NDArray[np.bool_]:
        return (other.sizes > 0) & (self.bits == other.bits) & (self.is_mono == other.is_mono)

"""Layout of AAC in ADTS frames (ISO/IEC 13818-7, 6.2), which has no frame count, so that the whole file is parsed.

FFmpeg silently skips damaged frames, and may fail on a truncated one.
"""

import re
from typing import BinaryIO

from sonant.audio.formats.file_layout import CURE, MOST_PARTS, FileLayout, Part
from sonant.audio.formats.id3 import HEAD, before_tags, tag_size
from sonant.audio.formats.lookahead import Lookahead
from sonant.errors import TruncatedAudio, UndecodableAudio

_HEADER = 7  # bytes
_SYNC = re.compile(rb"\xff[\xf0\xf1\xf8\xf9]")
_MOST_GAPS = 10
_MOST_TRIES = 100_000
_AHEAD = 1 << 14  # more than a frame, which has at most 8191 bytes
_SAMPLES = 1024  # in a block; a frame has up to four
_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)


def read_adts(file: BinaryIO, name: str, size: int) -> FileLayout | None:
    """Parse all frames; None if the file does not begin with two. Raises TruncatedAudio, UndecodableAudio."""
    if not _follow(Lookahead(file, size, chunk=1 << 14), 0):
        return None
    window = Lookahead(file, before_tags(file, size))
    kind, notes = _kind(window.peek(0, _HEADER)), list[str]()
    pieces, begin, last, at, seconds, junk = list[tuple[int, int]](), 0, 0, 0, 0.0, 0
    while at < window.end:
        head = window.peek(at, HEAD)
        length = _length(head)
        if length and _kind(head) == kind and at + length <= window.end:
            last, at, seconds = at, at + length, seconds + _seconds(head)
            continue
        if at + (length or tag_size(head)) > window.end or (len(head) < _HEADER and head[0] == 0xFF):
            raise TruncatedAudio(
                f"{name}: the sound ends after {seconds:.2f} s, within a frame. The recording or its transfer was cut "
                f"off. {CURE}"
            )
        if _kind(head) != kind and _follow(window, at):
            raise UndecodableAudio(
                f"{name}: the sound changes its rate or channels after {seconds:.2f} s: convert it to one kind first "
                "(ffmpeg -i OLD NEW.wav)."
            )
        following = at + tag_size(head)
        if following == at:  # a damaged frame may have a wrong length, so that the next begins within it
            following = _search(window, max(last, begin) + 1)
            if following < at:
                at, seconds = last, seconds - _seconds(window.peek(last, _HEADER))
            notes.append(
                f"{following - at} bytes after {seconds:.2f} s are no frames and were passed over (if sound was lost "
                "there, what follows comes too early)"
            )
            junk += following - at
        if len(notes) > _MOST_GAPS or 2 * junk > window.end:
            raise TruncatedAudio(f"{name}: a large part of the file is damaged; the first place: {notes[0]}. {CURE}")
        if len(pieces) == MOST_PARTS:
            raise UndecodableAudio(
                f"{name}: more than {MOST_PARTS} tags between frames. Convert it first (ffmpeg -i OLD NEW.wav)."
            )
        pieces.append((begin, at))
        begin = last = at = following
    pieces.append((begin, at))
    return FileLayout((Part(tuple(piece for piece in pieces if piece[0] < piece[1])),), tuple(notes))


def _length(head: bytes) -> int:
    """Size of a frame with this header; 0 if invalid."""
    if len(head) < _HEADER or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 >= len(_RATES):
        return 0
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length > _HEADER else 0


def _kind(head: bytes) -> bytes:
    """Version, profile, rate and channels, which are the same in all frames."""
    return bytes((head[1] & 0xFE, head[2] & 0xFD, head[3] & 0xC0)) if len(head) > 3 else b""


def _seconds(head: bytes) -> float:
    return (1 + (head[6] & 3)) * _SAMPLES / _RATES[head[2] >> 2 & 15]


def _follow(window: Lookahead, at: int) -> bool:
    """Return True if two frames of one kind begin here, or one that ends the file."""
    head = window.peek(at, _HEADER)
    length = _length(head)
    following = window.peek(at + length, _HEADER)
    return bool(length) and (at + length == window.end or (_length(following) > 0 and _kind(following) == _kind(head)))


def _search(window: Lookahead, at: int) -> int:
    """Find the next two consecutive frames; the end of the file if there are none, or too many false ones."""
    tries = 0
    while at < window.end:
        local = window.see(at, 2 * _AHEAD)
        data, begin = window.data, window.begin
        limit = len(data) if begin + len(data) >= window.end else len(data) - _AHEAD
        for match in _SYNC.finditer(data, local, limit):
            if _follow(window, begin + match.start()):
                return begin + match.start()
            tries += 1
        if tries > _MOST_TRIES:  # noise has one in 16 KiB
            break
        at = begin + max(limit, local + 1)
    return window.end

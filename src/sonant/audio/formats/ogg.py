"""Layout of an Ogg file: consecutive and multiplexed streams, and missing parts.

Decoders stop after the first stream, and silently skip damaged and missing pages, so that later sound is too early.
Here all pages are checked before decoding.
"""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from sonant.audio.formats.file_layout import CURE, MOST_PARTS, FileLayout, Part
from sonant.audio.formats.id3 import before_tags
from sonant.audio.formats.ogg_pages import MAGIC, Page, Pages
from sonant.errors import TruncatedAudio, UndecodableAudio

_MOST_PIECES = 250_000  # of a stream that is multiplexed with others
_MOST_NOTES = 1000


class Codec(NamedTuple):
    """Codec of a stream, from its first packet.

    Attributes:
        rate: granules per second; 0 for streams without sound.
        skipped: granules before the first sample.
        total: granules of the complete stream; 0 if not stated.
    """

    name: str
    rate: int = 0
    channels: int = 0
    skipped: int = 0
    total: int = 0


def read_codec(head: bytes) -> Codec | None:
    """Parse the first bytes of a stream's first page; None for an unknown codec."""
    number: Callable[[int, int], int] = lambda at, size: int.from_bytes(head[at : at + size], "little")  # noqa: E731
    match head:
        case _ if head.startswith(b"\x01vorbis"):
            return Codec("Vorbis", number(12, 4), number(11, 1))
        case _ if head.startswith(b"OpusHead"):
            return Codec("Opus", 48_000, number(9, 1), number(10, 2))
        case _ if head.startswith(b"Speex   "):
            return Codec("Speex", number(36, 4), number(48, 4))
        case _ if head.startswith(b"\x7fFLAC"):
            bits = int.from_bytes(head[27:35], "big")  # 20 of rate, 3 of channels, 5 of depth, 36 of samples
            return Codec("FLAC", bits >> 44, (bits >> 41 & 7) + 1, 0, bits & (1 << 36) - 1)
        case _ if head.startswith((b"fishead", b"\x80theora", b"BBCD", b"OVP80", b"CMML", b"\x80kate", b"\x8bJNG")):
            return Codec(head[:8].strip(b"\0\x80\x8b").decode("ascii", "replace"))
        case _:
            return None


@dataclass
class _Stream:
    """A logical stream, of one codec."""

    codec: Codec | None
    number: int = 0  # of its last page
    has_ended: bool = False
    pieces: "array[int]" = field(default_factory=lambda: array("q"))  # begin and end of each run of its pages
    first: int = 0  # granule of the beginning, if recording started within the stream
    granule: int = 0  # of the last page

    def add(self, page: Page) -> None:
        if self.pieces and self.pieces[-1] == page.begin:
            self.pieces[-1] = page.end
        else:
            self.pieces.extend((page.begin, page.end))
        self.number, self.has_ended = page.number, page.is_last
        self.granule = max(self.granule, page.granule)

    @property
    def seconds(self) -> float:
        if self.codec is None or not self.codec.rate:
            return 0.0
        return max(0, self.granule - self.codec.skipped - self.first) / self.codec.rate


@dataclass
class _Link:
    """Multiplexed streams."""

    streams: dict[int, _Stream] = field(default_factory=dict)
    has_begun: bool = False  # a page followed the first pages of the streams

    def sound(self, name: str, place: float) -> _Stream:
        """Return the only stream with sound. Raises UndecodableAudio for none or several."""
        if len(self.streams) == 1:
            return next(iter(self.streams.values()))
        sounds = [stream for stream in self.streams.values() if stream.codec is not None and stream.codec.rate]
        if len(sounds) == 1:
            return sounds[0]
        kinds = ", ".join("unknown" if kind.codec is None else kind.codec.name for kind in self.streams.values())
        raise UndecodableAudio(
            f"{name}: {len(self.streams)} streams side by side after {place:.2f} s ({kinds}), and {len(sounds)} of "
            "them are sound that is known here; expected one. Take out the one that is meant: "
            "ffmpeg -i OLD -map 0:a:0 NEW."
        )


def read_ogg(file: BinaryIO, name: str, size: int) -> FileLayout | None:
    """Parse all pages; None for a file that is not Ogg. Raises TruncatedAudio, UndecodableAudio."""
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        return None
    pages, walk = Pages(file, size), _Walk(name)
    for page in pages:
        walk.add(page)
    if pages.is_broken or (pages.end < size and not walk.has_ended()):
        raise TruncatedAudio(
            f"{name}: the pages end after {walk.place():.2f} s, and what stands behind is cut off or damaged. {CURE}"
        )
    if not pages.end:
        return None
    walk.close()
    if pages.end < before_tags(file, size):
        walk.note(f"the last {size - pages.end} bytes belong to no page and were passed over")
    if len(walk.channels) > 1:
        walk.note(
            f"it holds recordings of {' and '.join(map(str, sorted(walk.channels)))} channels; all were given those of "
            "the first, each the mean where they differ"
        )
    is_plain = len(walk.parts) == 1 and walk.parts[0].pieces == ((0, size),)
    return FileLayout(tuple(walk.parts), tuple(walk.notes), is_plain)


class _Walk:
    """State of parsing the pages of a file."""

    def __init__(self, name: str) -> None:
        self._name, self._seconds = name, 0.0
        self._link: _Link | None = None
        self.parts, self.channels, self.notes = list[Part](), set[int](), list[str]()

    def add(self, page: Page) -> None:
        if page.is_first:
            self._begin(page)
        elif self._link is None or page.serial not in self._link.streams:
            raise TruncatedAudio(
                f"{self._name}: a stream of which the beginning is missing, after {self.place():.2f} s. The recording "
                f"was begun in the middle, or lost something. {CURE}"
            )
        else:
            self._link.has_begun = True
            self._follow(page, self._link.streams[page.serial])
        if page.junk:
            self.note(f"{page.junk} bytes after {self.place():.2f} s belong to no page and were passed over")

    def close(self) -> None:
        """End the current multiplexed streams."""
        if self._link is None:
            return
        stream = self._link.sound(self._name, self._seconds)
        if stream.codec is not None and stream.granule < stream.codec.total:
            raise TruncatedAudio(
                f"{self._name}: the sound ends after {self.place():.2f} s, and its header promises "
                f"{stream.codec.total / max(1, stream.codec.rate):.2f} s. The recording or its transfer was cut off. "
                f"{CURE}"
            )
        if not stream.has_ended:
            self.note(
                f"the stream that ends after {self.place():.2f} s has no mark of its end: it was stopped, or cut off "
                "between two pages"
            )
        if len(self.parts) == MOST_PARTS:
            raise UndecodableAudio(
                f"{self._name}: more than {MOST_PARTS} recordings one behind another. Convert it first (ffmpeg -i OLD "
                "NEW.wav), or cut it into parts."
            )
        ends = iter(stream.pieces)
        self.parts.append(Part(tuple(zip(ends, ends, strict=True))))
        self._seconds += stream.seconds
        if stream.codec is not None:
            self.channels.add(stream.codec.channels)
        self._link = None

    def note(self, note: str) -> None:
        self.notes.append(note)
        if len(self.notes) > _MOST_NOTES:
            raise UndecodableAudio(
                f"{self._name}: damaged in more than {_MOST_NOTES} places, the first: {self.notes[0]}. {CURE}"
            )

    def has_ended(self) -> bool:
        return self._link is not None and all(stream.has_ended for stream in self._link.streams.values())

    def place(self) -> float:
        """Return the seconds of sound so far."""
        streams = [] if self._link is None else self._link.streams.values()
        return self._seconds + max((stream.seconds for stream in streams), default=0.0)

    def _begin(self, page: Page) -> None:
        if page.is_after_page or (page.junk and not self.has_ended()):
            raise self._lost()
        if self._link is None or self._link.has_begun or page.serial in self._link.streams:
            self.close()
            self._link = _Link()
        self._link.streams[page.serial] = stream = _Stream(read_codec(page.head))
        stream.add(page)

    def _follow(self, page: Page, stream: _Stream) -> None:
        if stream.has_ended:
            raise UndecodableAudio(
                f"{self._name}: a stream goes on behind the mark of its end, after {self.place():.2f} s. It was put "
                "together wrongly: convert it (ffmpeg -i OLD NEW)."
            )
        if page.number != (stream.number + 1) % (1 << 32):
            if stream.granule > 0 or page.junk:
                raise self._lost()
            stream.first = max(0, page.granule)
            self.note(
                "its beginning is missing: it was recorded from a stream that had begun before, or lost something"
            )
        stream.add(page)
        if len(stream.pieces) > 2 * _MOST_PIECES:
            raise UndecodableAudio(
                f"{self._name}: the sound stands in more than {_MOST_PIECES} pieces between other streams. Take it out "
                "first: ffmpeg -i OLD -map 0:a:0 NEW."
            )

    def _lost(self) -> TruncatedAudio:
        return TruncatedAudio(
            f"{self._name}: sound is missing after {self.place():.2f} s: a page was damaged or lost, and what follows "
            f"would come too early. {CURE}"
        )

"""Layout of an MPEG audio file (layers I to III): consecutive recordings, their length, and missing parts.

Decoders trust the tag in the first frame, and many stop at a second recording. Here all frames are counted and compared
with the tag. Frames have no position, so without a tag some losses are not detected (see docs/audio.md).

No decoder reports lost, skipped and concatenated parts, so frame headers are parsed here: 0.2 s for an hour on one core
of a Xeon (libsndfile decodes it in 3 s, and estimated the length of a file without a tag 17 s wrong).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from sonant.audio.formats.file_layout import CURE, MOST_PARTS, FileLayout, Part
from sonant.audio.formats.id3 import before_tags
from sonant.audio.formats.mpeg import Header, Kind, Tag, counting_frames, read_header, read_tag
from sonant.audio.formats.mpeg_runs import Run, find_runs, first_frame, search_frame
from sonant.audio.formats.signatures import REACH, is_container
from sonant.audio.formats.spliced import Piece, read_at
from sonant.errors import TruncatedAudio, UndecodableAudio

_ID3V1 = 128  # bytes of a tag at the end, which decoders skip
_MOST_GAPS = 10  # in a recording without a frame count


@dataclass(frozen=True)
class Mp3:
    """An MPEG audio file of which only the beginning and the end have been parsed.

    Attributes:
        name: in messages.
        size: in bytes.
        begin: offset of the first frame, or of unknown bytes before it.
        end: offset of the tags at the end of the file.
        kind: of the first frame.
        samples: per channel, by the tag in the first frame if it is consistent; otherwise None.
    """

    file: BinaryIO
    name: str
    size: int
    begin: int
    end: int
    kind: Kind
    samples: int | None

    def layout(self) -> FileLayout:
        """Parse all frame headers. Raises TruncatedAudio, UndecodableAudio."""
        parts = list(_recordings(find_runs(self.file, self.begin, self.end), self.name))
        others = sum(part.frames for part in parts[1:])
        parts[0].counts_all = bool(others and parts[0].missing) and abs(parts[0].lack - others) <= len(parts)
        seconds, notes = 0.0, list[str]()
        for part in parts:
            if part.kind.rate != self.kind.rate:
                raise UndecodableAudio(
                    f"{self.name}: the sound changes from {self.kind.rate} Hz to {part.kind.rate} Hz after "
                    f"{seconds:.2f} s: convert it to one rate first (ffmpeg -i OLD NEW.wav)."
                )
            notes += part.check(self.name, seconds)
            seconds += part.seconds
        if len({part.kind.channels for part in parts}) > 1:
            notes.append(
                f"it holds recordings of one and of two channels; all were given {self.kind.channels}, each the mean "
                "where they differ"
            )
        behind = self.end - parts[-1].runs[-1].end
        junk = behind + sum(run.junk for part in parts for run in part.runs)
        if 2 * junk > self.end - self.begin:
            raise TruncatedAudio(
                f"{self.name}: {junk} of its {self.size} bytes belong to no frame; {seconds:.2f} s of sound are there. "
                f"It is damaged. {CURE}"
            )
        if behind > 0:
            notes.append(f"the last {behind} bytes are neither frames nor a known tag and were passed over")
        is_plain = len(parts) == 1 and parts[0].is_intact and behind == 0 and self.size - self.end in (0, _ID3V1)
        return FileLayout(tuple(part.part() for part in parts if part.frames), tuple(notes), is_plain)


def find_mp3(file: BinaryIO, name: str, size: int) -> Mp3 | None:
    """Parse the beginning and the end of a file; None if it is not MPEG audio.

    Other bytes may precede the first frame, unless they are those of another format: recordings of a broadcast begin
    within a frame.
    """
    first, junk = first_frame(file, size), 0
    if first is None and not is_container(read_at(file, 0, REACH)):
        first = search_frame(file, size)
        junk = 0 if first is None else first[0]
    if first is None:
        return None
    begin, header = first
    end = max(before_tags(file, size), begin + header.size)
    samples = None if junk else _trusted_samples(file, begin, end, header)
    return Mp3(file, name, size, begin - junk, end, header.kind, samples)


def _trusted_samples(file: BinaryIO, begin: int, end: int, header: Header) -> int | None:
    """Return the number of samples stated by a tag if size and constant bit rate agree with it; otherwise None."""
    file.seek(begin)
    head = file.read(header.size + 4)
    tag, second = read_tag(head), read_header(head[header.size :])
    if tag is None or not tag.is_believed or not tag.frames or not tag.is_constant or begin + (tag.size or 0) != end:
        return None
    if second is None or second.kind != header.kind:
        return None
    if abs((end - begin - header.size) / second.bytes_per_frame - tag.frames) > 0.5:
        return None
    return max(0, tag.frames * header.kind.samples - tag.trimmed)


def _recordings(runs: Iterable[Run], name: str) -> Iterator["_Recording"]:
    part = _Recording([])
    for number, run in enumerate(runs):
        if number == MOST_PARTS:
            raise UndecodableAudio(
                f"{name}: more than {MOST_PARTS} recordings or damaged places one behind another. Convert it first "
                "(ffmpeg -i OLD NEW.wav), or cut it into parts."
            )
        if part.runs and run.starts_part:
            yield part
            part = _Recording([])
        part.runs.append(run)
    yield part


@dataclass
class _Recording:
    """Runs of one recording; `counts_all`: its tag counts the frames of later recordings too."""

    runs: list[Run]
    counts_all: bool = False

    @property
    def kind(self) -> Kind:
        return self.runs[0].kind

    @property
    def tag(self) -> Tag | None:
        return self.runs[0].tag

    @property
    def frames(self) -> int:
        return sum(run.frames for run in self.runs)

    @property
    def frame_seconds(self) -> float:
        return self.kind.samples / self.kind.rate

    @property
    def seconds(self) -> float:
        return self.frames * self.frame_seconds

    @property
    def promised(self) -> int | None:
        """Number of frames stated by the tag."""
        return None if self.tag is None or self.counts_all else self.tag.frames or None

    @property
    def lack(self) -> int:
        """Number of frames stated by the tag minus frames found."""
        return 0 if self.promised is None else self.promised - self.frames

    @property
    def is_intact(self) -> bool:
        """True if a decoder that trusts the tag and cannot handle gaps decodes the recording correctly."""
        return (
            len(self.runs) == 1
            and not self.runs[0].junk
            and (self.tag is None or (self.tag.is_believed and self.promised == self.frames))
        )

    def part(self) -> Part:
        """Make pieces for a decoder, with a correct tag: without one, libsndfile estimates the end."""
        first, samples = self.runs[0], self.frames * self.kind.samples
        begin, pieces = first.sound, list[Piece]()
        if self.tag is not None and self.tag.is_believed and self.promised is not None:
            begin, samples = first.begin, max(0, samples - self.tag.trimmed)
            if self.lack:
                place = begin + self.tag.frames_place
                pieces = [(begin, place), self.frames.to_bytes(4, "big")]
                begin = place + 4
        elif self.kind.layer == 3:
            pieces = [counting_frames(first.head, self.frames)]
        pieces += [(begin, first.end), *((run.begin, run.end) for run in self.runs[1:])]
        return Part(tuple(pieces), samples)

    def check(self, name: str, place: float) -> list[str]:
        """Return notes on irregularities; `place`: seconds before this recording. Raises TruncatedAudio."""
        if self._is_cut():
            raise TruncatedAudio(
                f"{name}: the sound ends after {place + self.seconds:.2f} s{self._and_promised()}. The recording or "
                f"its transfer was cut off. {CURE}"
            )
        gaps = list(self._gaps(place))
        lost = max(0, sum(replaced for *_, replaced in gaps) if self.promised is None else self.lack)
        if gaps and (lost > 1 or (not self.promised and len(gaps) > _MOST_GAPS)):
            raise TruncatedAudio(
                f"{name}: sound is missing after {', '.join(f'{seconds:.2f}' for seconds, *_ in gaps[:5])} s"
                f"{self._and_promised()}. Bytes were lost or overwritten there, and what follows would come too early. "
                f"{CURE}"
            )
        outcome = "were passed over"
        if self.promised is None:
            outcome += " (if sound was lost there, what follows comes too early)"
        elif lost:
            outcome += f" ({1000 * self.frame_seconds:.0f} ms of sound are lost)"
        notes = [f"{size} bytes after {seconds:.2f} s are no frames and {outcome}" for seconds, size, _ in gaps]
        if not gaps and abs(self.lack) > 1:
            notes = [f"its tag counts {self.promised} frames, and {self.frames} are there, all of which were read"]
        if self.runs[0].junk:
            notes.append(f"{self.runs[0].junk} bytes after {place:.2f} s are no frames and were passed over")
        return notes

    @property
    def missing(self) -> int:
        """Number of bytes stated by the tag minus bytes found."""
        size = None if self.tag is None else self.tag.size
        return 0 if size is None else size - (self.runs[-1].end - self.runs[0].begin)

    def _is_cut(self) -> bool:
        ends_within = self.runs[-1].is_cut
        if self.promised is None:
            mean = (self.runs[-1].end - self.runs[0].begin) / max(1, self.frames)
            return ends_within or (not self.counts_all and self.missing > 2 * mean)
        if self.lack < 1 or (len(self.runs) > 1 and not ends_within):
            return False
        if self.lack == 1 and not ends_within:  # some encoders count the tag's own frame
            return self.missing > 0
        return ends_within or self.missing != 0 or self.tag is None or self.tag.size is None

    def _and_promised(self) -> str:
        if self.promised is None:
            return ""
        return f", and its first frame promises {self.promised * self.frame_seconds:.2f} s"

    def _gaps(self, place: float) -> Iterator[tuple[float, int, int]]:
        """Yield time in seconds, size in bytes, and estimated number of replaced frames of each gap."""
        for before, after in zip(self.runs, self.runs[1:], strict=False):
            place += before.frames * self.frame_seconds
            size = before.bytes_per_frame
            frames = round(after.junk / size) if size is not None and size == after.bytes_per_frame else 0
            yield place, after.junk, frames if size and abs(after.junk - frames * size) <= 1.5 else 0

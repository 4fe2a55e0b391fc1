"""Mixtures: recordings that are the sum of parts of other recordings, added up when they are read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sonant import audio
from sonant.audio import Segment
from sonant.errors import ManifestError

RATE = 16_000  # of mixtures, in hertz
SHORTEST = 1e-3  # seconds of a part that is cut
SPAN = "clip"  # of the recording, in seconds: [from, to]


class MixedSamples(NamedTuple):
    """Samples with their rate, as decoders of torchcodec return them."""

    data: NDArray[np.float32]
    sample_rate: int


@dataclass(frozen=True)
class MixturePart:
    """Part of a mixture: a recording or a segment of it.

    Attributes:
        path: of the recording.
        start: where it begins in the mixture, in seconds.
        segment: part of the recording; None: all of it.
        gain_db: by which it is amplified.
        fields: all else that is said of it, such as its speaker.
    """

    path: Path
    start: float = 0.0
    segment: Segment | None = None
    gain_db: float = 0.0
    fields: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, row: object, folder: Path, where: str) -> "MixturePart":
        """Read a part from a manifest: `path`, `start`, `clip`, `gain_db`. Raises ManifestError."""
        if not isinstance(row, Mapping) or not isinstance(row.get("path"), str):
            raise ManifestError(f"{where}: a part of 'mix' is {row!r:.80}; expected an object with a 'path'.")
        rest = {name: value for name, value in row.items() if name not in ("path", "start", SPAN, "gain_db")}
        try:
            start, gain_db = float(row.get("start", 0.0)), float(row.get("gain_db", 0.0))
            begin, end = map(float, row[SPAN]) if row.get(SPAN) is not None else (0.0, None)
            segment = None if end is None else Segment(begin, end)
        except (TypeError, ValueError) as error:
            raise ManifestError(f"{where}: a part of 'mix' is {dict(row)!r:.200} ({error}).") from error
        if not 0 <= start < np.inf or not np.isfinite(gain_db):
            raise ManifestError(
                f"{where}: a part of 'mix' has start={start:g} and gain_db={gain_db:g}; expected seconds from the "
                "beginning of the mixture, 0 or more, and decibels."
            )
        return cls(folder / row["path"], start, segment, gain_db, rest)

    def row(self, path: Path) -> dict[str, Any]:
        """Return the object that `of` reads, with another path."""
        span = {} if self.segment is None else {SPAN: [self.segment.start, self.segment.end]}
        return {"path": str(path), "start": self.start, **span, "gain_db": self.gain_db, **self.fields}

    def seconds(self) -> float:
        """Return the duration of the part, by its clip or the recording's header. Raises AudioError, MissingExtra."""
        clip = None if self.segment is None else self.segment.duration
        return audio.duration(self.path, segment=self.segment) if clip is None else clip

    def cut(self, start: float, seconds: float) -> "MixturePart | None":
        """Return what of it is in a stretch of the mixture, whose beginning is its new one; None: nothing."""
        at = self.start - start
        begin = (0.0 if self.segment is None else self.segment.start) + max(0.0, -at)
        length = min(self.seconds() - max(0.0, -at), seconds - max(0.0, at))
        if length < SHORTEST:
            return None
        return replace(self, start=max(0.0, at), segment=Segment(begin, begin + length))

    def read(self) -> NDArray[np.float32]:
        """Return the amplified samples at `RATE`, (samples,)."""
        samples = audio.read(self.path, sampling_rate=RATE, min_samples=1, segment=self.segment)
        return samples * np.float32(10 ** (self.gain_db / 20))


@dataclass(frozen=True)
class Mixture:
    """A sum of parts, which `sonant.audio` takes as a decoder in the form of torchcodec.

    Attributes:
        parts: what lies behind the end of the mixture is cut off.
        duration: in seconds; None: to the end of the last part.
    """

    parts: tuple[MixturePart, ...]
    duration: float | None = None

    @classmethod
    def of(cls, rows: Sequence[object], folder: Path, duration: float | None, where: str) -> "Mixture":
        """Read the parts of a manifest's row; relative paths start at the folder. Raises ManifestError."""
        if not rows:
            raise ManifestError(f"{where}: 'mix' is empty; expected the parts that are added up.")
        return cls(tuple(MixturePart.of(row, folder, where) for row in rows), duration)

    def seconds(self) -> float:
        """Return the duration; all recordings are looked at. Raises AudioError, MissingExtra."""
        ends = [part.start + audio.duration(part.path, segment=part.segment) for part in self.parts]
        end = max(ends, default=0.0)
        return end if self.duration is None else self.duration

    def tracks(self) -> NDArray[np.float32]:
        """Return each part at its place, silence around it: (parts, samples) at `RATE`. Raises AudioError."""
        heard = [part.read() for part in self.parts]
        starts = [round(part.start * RATE) for part in self.parts]
        ends = [start + len(each) for start, each in zip(starts, heard, strict=True)]
        length = max(ends) if self.duration is None else round(self.duration * RATE)
        found = np.zeros((len(heard), length), dtype=np.float32)
        for track, start, each in zip(found, starts, heard, strict=True):
            track[start : start + len(each)] = each[: max(0, length - start)]
        return found

    def cut(self, start: float, seconds: float) -> "Mixture":
        """Return a part of the mixture, of which only what is in it is read. Raises AudioError, MissingExtra."""
        cut = (part.cut(start, seconds) for part in self.parts)
        return Mixture(tuple(part for part in cut if part is not None), seconds)

    def get_all_samples(self) -> MixedSamples:
        """Return the sum of the parts, which may exceed full scale."""
        return MixedSamples(self.tracks().sum(0), RATE)

    @property
    def state(self) -> list[Any]:
        """Paths, sizes and modification times of the recordings; null for one that is missing."""
        found: list[Any] = []
        for path in dict.fromkeys(part.path for part in self.parts):
            status = path.stat() if path.exists() else None
            found.append([str(path), None if status is None else [status.st_size, status.st_mtime_ns]])
        return found

    @cached_property
    def digest(self) -> str:
        """Short hash of the parts and their places."""
        rows = [part.row(part.path.resolve()) for part in self.parts]
        return sha256(json.dumps([self.duration, rows], default=str).encode()).hexdigest()[:16]

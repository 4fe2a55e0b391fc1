"""Entries of manifests: a recording, or a segment or channel of one, with its labels."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from math import isfinite, isnan
from pathlib import Path
from typing import Any, TypedDict

from sonant import audio
from sonant.audio import Segment
from sonant.data.mixtures import Mixture
from sonant.data.rows import ManifestRow
from sonant.errors import ManifestError

PATHS = ("path", "audio_filepath", "file_name")  # ours, NeMo's, Hugging Face's for audio folders
PARTS = frozenset(("start", "end", "offset", "channel"))  # of a recording
MIX = "mix"  # parts that are added up
EMBEDDED = "audio"  # Hugging Face's column of recordings in a table: bytes and path
NEARLY = ("file", "filename", "filepath", "audio", "audio_path", "audio_file", "wav", "wav_path", "paths")
TOLERANCE_SECONDS = 0.1  # between a duration, and an end minus a start


class PartOfRecording(TypedDict):
    """Arguments of `sonant.audio` for a part of a recording."""

    segment: Segment | None
    channel: int | None


@dataclass(frozen=True)
class ManifestEntry:
    """One recording of a manifest, or a segment or one channel of it.

    Attributes:
        path: of the audio file; of a recording in a table and of a mixture, its name there.
        duration: seconds of the recording or segment, if known.
        fields: all other columns: text, speaker, label, ...
        segment: None: the whole recording.
        channel: number of the channel, counted from 0; None: their mean.
        data: bytes of the audio file, of a recording in a table.
        mixture: of several recordings, in place of one.
    """

    path: Path
    duration: float | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    segment: Segment | None = None
    channel: int | None = None
    data: bytes | None = field(default=None, repr=False)
    mixture: Mixture | None = field(default=None, repr=False)

    @property
    def audio(self) -> Path | bytes | Mixture:
        """The recording, for `sonant.audio`."""
        return self.mixture or (self.path if self.data is None else self.data)

    def seconds(self) -> float:
        """Return the duration of the recording or segment from headers. Raises AudioError, MissingExtra."""
        if self.mixture is None or self.segment is not None:
            return audio.duration(self.audio, segment=self.segment)
        return self.mixture.seconds()

    def text_in(self, field: str) -> str | None:
        """Return the value of a field as text, such as the name of the speaker; None if it is missing or empty."""
        value = self.fields.get(field)
        return None if value in (None, "") else str(value)

    def has_files(self) -> bool:
        """Return True if the file, or all of a mixture, are there."""
        if self.mixture is not None:
            return all(part.path.is_file() for part in self.mixture.parts)
        return self.data is not None or self.path.is_file()

    @property
    def part(self) -> PartOfRecording:
        """Segment and channel, as keyword arguments of `sonant.audio`."""
        return {"segment": self.segment, "channel": self.channel}

    @property
    def name(self) -> str:
        """Path, channel and segment, for messages."""
        return part_name(str(self.path), self.segment, self.channel)

    @property
    def identity(self) -> str:
        """Resolved path, channel and segment; equal for entries of the same samples."""
        name = str(self.path.resolve()) + ("" if self.mixture is None else f", mixture {self.mixture.digest}")
        return part_name(name, self.segment, self.channel)


def part_name(path: str, segment: Segment | None, channel: int | None) -> str:
    """Return a path with channel and segment, if there are any, such as `a.wav, channel 1, 2 to 3.5 s`."""
    parts = [f"channel {channel}"] * (channel is not None) + [str(segment)] * (segment is not None)
    return ", ".join([path, *parts])


def entry_of(row: ManifestRow, folder: Path) -> ManifestEntry:
    """Make an entry of a row; relative paths start at the folder.

    Raises:
        ManifestError: the row names no recording or several, or a value is invalid.
    """
    fields = {name: None if _is_nan(value) else value for name, value in row.fields.items()}
    if isinstance(fields.get(MIX), list):
        return _mixture(row, fields, folder)
    given, data = _recording(row, fields)
    path = folder / given
    _refuse_other_encodings(row, given, path, fields, has_file=data is None)
    seconds = _seconds(row, "duration", fields.pop("duration", None))
    if not fields.keys() & PARTS:
        return ManifestEntry(path, seconds, fields, data=data)
    segment, duration = _segment(row, fields, seconds)
    return ManifestEntry(path, duration, fields, segment, _channel(row, fields.pop("channel", None)), data)


def _mixture(row: ManifestRow, fields: dict[str, Any], folder: Path) -> ManifestEntry:
    """Make the entry of a row with the parts of a mixture."""
    if others := fields.keys() & {*PATHS, *PARTS, EMBEDDED}:
        raise ManifestError(
            f"{row.where}: 'mix' names the parts of a mixture, and {', '.join(map(repr, sorted(others)))} a recording "
            "or a part of one. Keep one of the two."
        )
    seconds = _seconds(row, "duration", fields.pop("duration", None))
    mixture = Mixture.of(fields.pop(MIX), folder, seconds, row.where)
    name = str(fields.get("id") or re.sub(r"\W+", "_", Path(row.where).name))
    return ManifestEntry(folder / name, seconds, fields, mixture=mixture)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and isnan(value)


def _recording(row: ManifestRow, fields: dict[str, Any]) -> tuple[str, bytes | None]:
    """Take path and bytes of the recording out of the fields."""
    embedded = fields.pop(EMBEDDED) if isinstance(fields.get(EMBEDDED), Mapping) else {}
    data = embedded.get("bytes")
    named = [name for name in PATHS if name in fields]
    if len(named) > 1:
        raise ManifestError(
            f"{row.where}: {' and '.join(map(repr, named))} both name a recording. Keep one of the two."
        )
    if not named and not embedded:
        raise ManifestError(f"{row.where}: {_lacks_path(list(fields))}")
    name = named[0] if named else EMBEDDED
    given = fields.pop(name) if named else embedded.get("path")
    if data is not None and not given:
        given = re.sub(r"\W+", "_", Path(row.where).name)
    if not isinstance(given, str) or not given.strip():
        raise ManifestError(f"{row.where}: {name!r} is {given!r}; expected the path of a recording.")
    return given, data


def _segment(row: ManifestRow, fields: dict[str, Any], duration: float | None) -> tuple[Segment | None, float | None]:
    """Take the segment out of the fields; return it with its duration.

    `start` and `end`, or NeMo's `offset` with `duration`, in seconds.
    """
    start, offset, end = (_seconds(row, name, fields.pop(name, None)) for name in ("start", "offset", "end"))
    if start is not None and offset is not None:
        raise ManifestError(f"{row.where}: 'start' and 'offset' both say where the segment begins. Keep one of them.")
    start = offset if start is None else start
    if start is None and end is None:
        return None, duration
    start = start or 0.0
    if end is None and duration is not None:
        end = start + duration
    if end is None:
        return Segment(start) if start else None, None
    if end <= start:
        raise ManifestError(f"{row.where}: the segment ends at {end:g} s, and begins at {start:g} s.")
    if duration is not None and abs(end - start - duration) > TOLERANCE_SECONDS:
        raise ManifestError(
            f"{row.where}: the segment from {start:g} to {end:g} s has a 'duration' of {duration:g} s. Is that of the "
            "whole recording? The duration of a row is that of its segment: correct it, or leave it out."
        )
    return Segment(start, end), end - start if duration is None else duration


def _channel(row: ManifestRow, value: Any) -> int | None:
    if value is None or value == "":
        return None
    try:
        number = float(value) if not isinstance(value, bool) else -1.0
    except (TypeError, ValueError):
        number = -1.0
    if number < 0 or not number.is_integer():
        raise ManifestError(
            f"{row.where}: 'channel' is {value!r}; expected the number of a channel of the recording, counted from 0. "
            "A column that says something else needs another name."
        )
    return int(number)


def _seconds(row: ManifestRow, name: str, value: Any) -> float | None:
    if value is None or value == "":
        return None
    try:
        seconds = float(value) if not isinstance(value, bool) else -1.0
    except (TypeError, ValueError):
        seconds = -1.0
    if not isfinite(seconds) or seconds < 0:
        raise ManifestError(f"{row.where}: {name!r} is {value!r}; expected seconds, 0 or more.")
    return seconds


def _lacks_path(names: list[str]) -> str:
    near = [
        name
        for name in names
        if name.strip().lower() in NEARLY or get_close_matches(name.strip().lower(), PATHS, cutoff=0.7)
    ]
    return (
        f"nothing here is called {PATHS[0]!r} (nor {PATHS[1]!r}, as in NeMo, nor {PATHS[2]!r}). The names are "
        f"{', '.join(map(repr, names[:12]))}"
        + (f"; is {' or '.join(map(repr, near[:3]))} meant? Rename it to {PATHS[0]!r}." if near else ".")
    )


def _refuse_other_encodings(
    row: ManifestRow, given: str, path: Path, fields: Mapping[str, Any], *, has_file: bool
) -> None:
    """Raise ManifestError for fields that are not UTF-8, except the path of an existing file."""
    garbled = [name for name, value in fields.items() if isinstance(value, str) and not is_unicode(value)]
    if has_file and not is_unicode(given) and not path.exists():
        garbled.insert(0, "path")
    if garbled:
        raise ManifestError(
            f"{row.where}: {garbled[0]!r} is not UTF-8. Save the list as UTF-8; a spreadsheet calls it CSV UTF-8."
        )


def is_unicode(text: str) -> bool:
    """Return False for text read from bytes that are not UTF-8."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

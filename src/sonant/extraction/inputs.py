"""Recordings of a job, from a file, a folder, a manifest, or standard input."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Self

from sonant.audio import Channel
from sonant.audio.channels import check_channel
from sonant.audio.segments import seconds_text
from sonant.data.entries import ManifestEntry
from sonant.data.files import as_path, digest
from sonant.data.folders import AUDIO_SUFFIXES, is_audio, search
from sonant.data.manifest import is_manifest, list_in, read_manifest
from sonant.errors import AudioNotFound, ConfigurationError, ManifestError
from sonant.extraction.channels import by_channel
from sonant.extraction.names import key_of, readable_name, without_ending
from sonant.extraction.sources import AudioSource, channel_of
from sonant.extraction.special_files import (
    Stamp,
    Unusable,
    is_pipe,
    look,
    look_at_all,
    stamp_of_bytes,
    unlisted,
)


@dataclass(frozen=True)
class Entry(AudioSource):
    """A recording of a job, or one channel of it.

    Attributes:
        label: name in the results, see `names.readable_name`.
        stamp: size and time, or hash, to detect changes of the recording.
    """

    label: str = ""
    stamp: Stamp = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, Any]:
        """The first fields of its lines in results: the path, the channel if one was chosen, and the segment.

        The segment has NeMo's names, `offset` and `duration`.
        """
        facts: dict[str, Any] = {"path": self.label} | ({} if self.channel is None else {"channel": self.channel})
        if self.segment is not None:
            facts["offset"] = round(self.segment.start, 6)
            if self.segment.duration is not None:
                facts["duration"] = round(self.segment.duration, 6)
        return facts

    @property
    def key(self) -> str:
        """A key that is unique within the job."""
        return key_of(self.facts)

    @property
    def file_name(self) -> str:
        """The name that output files are derived from, with the channel and the segment before the ending, if any."""
        of_channel = "" if self.channel is None else f".channel{self.channel}"
        return _before_ending(self.label, of_channel + self._times)

    @property
    def segment_name(self) -> str:
        """The name with the segment before the ending, if it is one."""
        return _before_ending(self.label, self._times)

    def with_text(self, text: str | None) -> Self:
        """Return the entry with a text of its own, or that of its manifest, whose changes the stamp shows."""
        text = self.text if text is None else text
        return self if text is None else replace(self, text=text, stamp={**self.stamp, "source_text": digest(text)})

    @property
    def _times(self) -> str:
        if self.segment is None:
            return ""
        end = "" if self.segment.end is None else seconds_text(self.segment.end)
        return f".{seconds_text(self.segment.start)}-{end}s"


Make = Callable[..., Entry]  # audio, label, stamp and further fields to an entry


def _before_ending(name: str, text: str) -> str:
    stem = without_ending(name)
    return f"{stem}{text}{name[len(stem) :]}" if text else name


def gather(
    source: str | PathLike[str],
    *,
    sampling_rate: int,
    min_samples: int = 400,
    channel: Channel | None = None,
    stdin: BinaryIO | None = None,
    leave_out: Path | None = None,
) -> list[Entry]:
    """Return the recordings of a source, each once, in a fixed order.

    Args:
        source: a folder (searched recursively, without hidden files; one without audio may hold a list, such as
            Kaldi's), a manifest (see `sonant.data.read_manifest`), "-", or a recording, which may be a pipe.
        sampling_rate, min_samples: as in `AudioSource`.
        channel: None or "mix": mean of the channels; a number: one of them; "all": an entry for each. Not for a
            manifest that names channels itself.
        stdin: the file that "-" reads.
        leave_out: a folder not to search, such as the output.

    Raises:
        AudioNotFound: no such file, or a folder without audio.
        UndecodableAudio: a device or a socket.
        ManifestError: the manifest cannot be read, or names a recording twice.
        ConfigurationError: `source` is no path, or `channel` no channel.
    """
    check_source(source)
    check_channel(channel)
    channel = None if channel == "mix" else channel
    make = partial(Entry, sampling_rate=sampling_rate, min_samples=min_samples, channel=channel)
    entries = _gather(source, make, stdin, leave_out)
    return [entry for channels in by_channel(entries) for entry in channels]


def _gather(source: str | PathLike[str], make: Make, stdin: BinaryIO | None, leave_out: Path | None) -> list[Entry]:
    path = Path(source)
    if str(source) == "-":
        if stdin is None:
            raise AudioNotFound("'-' stands for standard input, and there is none here.")
        data = stdin.read()
        return [make(data, label="stdin", stamp=stamp_of_bytes(data))]
    if path.is_dir():
        return _folder(path, make, leave_out)
    if is_manifest(path):
        return _manifest(path, make)
    if not path.exists():
        raise AudioNotFound(f"There is no file or folder {str(path)!r}: check the path. Looked in {Path.cwd()}.")
    name = readable_name(path.name)
    if is_pipe(path):  # as of `sonant embed <(sox talk.wav -t wav -)`
        data = path.read_bytes()
        return [make(data, label=name, stamp=stamp_of_bytes(data))]
    audio, stamp = look(path)
    if isinstance(audio, Unusable):
        raise audio.error
    return [make(audio, label=name, stamp=stamp)]


def check_source(source: object) -> None:
    """Raise ConfigurationError for a source that is not a path, such as a list of recordings."""
    try:
        as_path(source, "the recordings")
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{error} Here it is the path of a recording, a folder or a manifest, which lists recordings, or '-'. "
            "`encode`, `units` and `transcribe` take recordings in memory, and lists of any."
        ) from None


def origin(source: str | PathLike[str]) -> str:
    """Return a source as noted in results: its absolute path, or the name of a pipe or "-"."""
    path = Path(source)
    return readable_name(str(path if str(source) == "-" or is_pipe(path) else path.resolve()))


def _folder(folder: Path, make: Make, leave_out: Path | None) -> list[Entry]:
    files, failures = search(folder, is_audio, leave_out=leave_out)
    if folder in failures:
        raise AudioNotFound(f"The folder {str(folder)!r} could not be listed: {failures[folder].strerror}.")
    if not files and not failures:
        if (listed := list_in(folder)) is not None:
            return _manifest(listed, make)
        raise AudioNotFound(
            f"The folder {str(folder)!r} holds no audio. Looked, in its subfolders too, for files that end in: "
            f"{' '.join(sorted(AUDIO_SUFFIXES))}. Files with other names can be listed in a manifest."
        )
    entries = {
        path: make(audio, label=_name(path, folder), stamp=stamp)
        for path, (audio, stamp) in zip(files, look_at_all(files), strict=True)
    }
    entries |= {path: make(unlisted(path, error), label=_name(path, folder)) for path, error in failures.items()}
    return [entries[path] for path in sorted(entries, key=str)]


def _name(path: Path, folder: Path) -> str:
    return readable_name((path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix())


def _manifest(path: Path, make: Make) -> list[Entry]:
    recordings = read_manifest(path)
    entries = [
        _listed(recording, path.parent, make, *looked)
        for recording, looked in zip(recordings, look_at_all([recording.path for recording in recordings]), strict=True)
    ]
    times = Counter(entry.key for entry in entries)
    double = [entry.name for entry in {entry.key: entry for entry in entries}.values() if times[entry.key] > 1]
    if double:
        raise ManifestError(
            f"{path} names {len(double)} recordings more than once, the first of them {double[0]!r}. "
            "Every recording gives one result: keep one line of each."
        )
    return entries


def _listed(recording: ManifestEntry, folder: Path, make: Make, audio: Path | Unusable, stamp: Stamp) -> Entry:
    """Make the entry of a row, from what is at its path."""
    given = recording.audio
    entry = make(
        audio if isinstance(given, Path) else given,
        label=_name(recording.path, folder),
        known_seconds=recording.duration,
        stamp=_stamp(recording, stamp),
        segment=recording.segment,
        text=text if isinstance(text := recording.fields.get("text"), str) else None,
    )
    return replace(entry, channel=channel_of(recording, entry.channel))


def _stamp(recording: ManifestEntry, of_path: Stamp) -> Stamp:
    if recording.mixture is not None:
        return {"source_mixture": digest(str([recording.mixture.digest, recording.mixture.state]))}
    return of_path if recording.data is None else stamp_of_bytes(recording.data)

"""Recordings of a job, from a file, a folder, a manifest, or standard input."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from os import PathLike
from pathlib import Path, PurePath
from typing import Any, BinaryIO

from sonant.audio import Channel
from sonant.audio.channels import check_channel
from sonant.data.files import as_path
from sonant.data.manifest import is_manifest, read_manifest
from sonant.errors import AudioNotFound, ConfigurationError, ManifestError
from sonant.extraction.channels import by_channel
from sonant.extraction.folders import search
from sonant.extraction.names import key_of, readable_name, without_ending
from sonant.extraction.sources import AudioSource
from sonant.extraction.special_files import (
    Stamp,
    Unusable,
    is_pipe,
    look,
    look_at_all,
    stamp_of_bytes,
    unlisted,
)

# Formats of soundfile; below, those of the extra `audio`.
_SOUNDFILE = "wav flac mp3 ogg oga opus aif aiff aifc au snd caf w64 rf64 sph"
_PYAV = "m4a mp4 aac webm mka mkv wma amr 3gp"
AUDIO_SUFFIXES = frozenset(f".{name}" for name in f"{_SOUNDFILE} {_PYAV}".split())


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
        """The first fields of its lines in results: the path, and the channel if one was chosen."""
        return {"path": self.label} if self.channel is None else {"path": self.label, "channel": self.channel}

    @property
    def key(self) -> str:
        """A key that is unique within the job."""
        return key_of(self.facts)

    @property
    def file_name(self) -> str:
        """The name that output files are derived from, with the channel before the ending if one was chosen."""
        if self.channel is None:
            return self.label
        stem = without_ending(self.label)
        return f"{stem}.channel{self.channel}{self.label[len(stem) :]}"


Make = Callable[..., Entry]  # audio, label, stamp, known_seconds to an entry


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
        source: a folder (searched recursively, without hidden files), a manifest (see `sonant.data.read_manifest`),
            "-", or a recording, which may be a pipe.
        sampling_rate, min_samples: as in `AudioSource`.
        channel: None or "mix": mean of the channels; a number: one of them; "all": an entry for each.
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
    files, failures = search(folder, _is_audio, leave_out=leave_out)
    if folder in failures:
        raise AudioNotFound(f"The folder {str(folder)!r} could not be listed: {failures[folder].strerror}.")
    if not files and not failures:
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


def _is_audio(name: str) -> bool:
    return PurePath(name).suffix.lower() in AUDIO_SUFFIXES


def _name(path: Path, folder: Path) -> str:
    return readable_name((path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix())


def _manifest(path: Path, make: Make) -> list[Entry]:
    recordings = read_manifest(path)
    entries = [
        make(audio, label=_name(recording.path, path.parent), known_seconds=recording.duration, stamp=stamp)
        for recording, (audio, stamp) in zip(
            recordings, look_at_all([recording.path for recording in recordings]), strict=True
        )
    ]
    double = [name for name, times in Counter(entry.label for entry in entries).items() if times > 1]
    if double:
        raise ManifestError(
            f"{path} names {len(double)} recordings more than once, the first of them {double[0]!r}. "
            "Every recording gives one result: keep one line of each."
        )
    return entries

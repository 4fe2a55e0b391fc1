"""What `sonant embed` is pointed at: a recording, a folder of them, a manifest, or bytes on standard input."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, BinaryIO

from sonant.data.manifest import read_manifest
from sonant.errors import AudioNotFound, ManifestError
from sonant.extraction.sources import AudioSource

# What soundfile reads, then what the extra `audio` adds.
_SOUNDFILE = "wav flac mp3 ogg oga opus aif aiff aifc au snd caf w64 rf64 sph"
_PYAV = "m4a mp4 aac webm mka mkv wma amr 3gp"
AUDIO_SUFFIXES = frozenset(f".{name}" for name in f"{_SOUNDFILE} {_PYAV}".split())


@dataclass(frozen=True)
class Entry:
    """One recording of a job: the name that it has in the output, what to read, and its length if already known."""

    name: str
    audio: Any
    seconds: float | None = None

    def source(self, *, sampling_rate: int, min_samples: int) -> AudioSource:
        """The recording as a model of this rate reads it."""
        return AudioSource(
            self.audio, sampling_rate, min_samples=min_samples, known_seconds=self.seconds, label=self.name
        )


def gather(source: str | Path, *, stdin: BinaryIO | None = None, leave_out: Path | None = None) -> list[Entry]:
    """The recordings that a command-line argument stands for, each once, in a fixed order.

    Args:
        source: a folder (searched through for audio, hidden files left out), a `.jsonl` manifest, "-", or a recording.
        stdin: where "-" reads from.
        leave_out: a folder not to search, such as the output's own.

    Raises:
        AudioNotFound: nothing there, or a folder without audio.
        ManifestError: a manifest that cannot be read or names a recording twice.
    """
    if str(source) == "-":
        if stdin is None:
            raise AudioNotFound("'-' stands for standard input, and there is none here.")
        return [Entry("stdin", stdin.read())]
    path = Path(source)
    if path.is_dir():
        return _folder(path, leave_out)
    if path.suffix == ".jsonl":
        return _manifest(path)
    if not path.exists():
        raise AudioNotFound(f"There is no file or folder {str(path)!r}: check the path. Looked in {Path.cwd()}.")
    return [Entry(path.name, path)]


def _folder(folder: Path, leave_out: Path | None) -> list[Entry]:
    found: list[str] = []
    for here, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".") and Path(here, name) != leave_out]
        found += [
            str(Path(here, name).relative_to(folder))
            for name in files
            if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES
        ]
    if not found:
        raise AudioNotFound(
            f"The folder {str(folder)!r} holds no audio. Looked, in its subfolders too, for files that end in: "
            f"{' '.join(sorted(AUDIO_SUFFIXES))}. Files with other names can be listed in a manifest."
        )
    return [Entry(Path(name).as_posix(), folder / name) for name in sorted(found)]


def _manifest(path: Path) -> list[Entry]:
    entries = []
    for recording in read_manifest(path):
        inside = recording.path.is_relative_to(path.parent)
        name = recording.path.relative_to(path.parent) if inside else recording.path
        entries.append(Entry(name.as_posix(), recording.path, recording.duration))
    double = [name for name, times in Counter(entry.name for entry in entries).items() if times > 1]
    if double:
        raise ManifestError(
            f"{path} names {len(double)} recordings more than once, the first of them {double[0]!r}. "
            "Every recording gives one result: keep one line of each."
        )
    return entries


def output_names(names: Sequence[str], suffix: str) -> list[str]:
    """A file for each recording, in the same folders: `a/b.npy` for `a/b.wav`, or `a/b.wav.npy` beside `a/b.mp3`."""
    plain = [_inside(name) for name in names]
    stems = Counter(str(path.with_suffix("")).lower() for path in plain)
    return [
        f"{(path.with_suffix('') if stems[str(path.with_suffix('')).lower()] == 1 else path).as_posix()}.{suffix}"
        for path in plain
    ]


def _inside(name: str) -> PurePath:
    """A relative path that stays where it is put, whatever the manifest says."""
    path = PurePath(name)
    return PurePath(*("__" if part == ".." else part for part in path.parts if part != path.anchor))

"""Decoded corpus in one memory-mapped file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from sonant import audio
from sonant.data.entries import ManifestEntry
from sonant.data.files import atomic, json_lines, naming
from sonant.data.progress import Progress
from sonant.data.settings import read_settings, write_or_check_settings
from sonant.errors import AudioError, ManifestError, some_of

SETTINGS, FIELDS, INDEX = "settings.json", "fields.jsonl", "index.jsonl"
FILES = {"int16": "samples.i16", "float32": "samples.f32"}
DECODED = 64  # recordings decoded at a time

SampleType = Literal["int16", "float32"]
Samples = NDArray[np.int16] | NDArray[np.float32]
Decoder = Callable[[ManifestEntry], Samples | AudioError]


class WaveformStore:
    """Sequence of waveforms, memory-mapped.

    Attributes:
        paths: original file of each recording.
        rows: int64 (recordings,), row of each in its manifest, in which unreadable recordings count too.
        num_rows: of the manifest.
        lengths: int64 (recordings,), in samples.
        skipped: error message of each unreadable recording, by name (`ManifestEntry.identity`).
        fingerprint: short hash of all waveforms.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        entries = json_lines(self.folder / INDEX)
        kept = [entry for entry in entries if "error" not in entry]
        if not kept:
            why = next((f" The first: {entry['error']}" for entry in entries), "")
            raise ManifestError(f"None of the {len(entries)} recordings of the corpus could be read.{why}")
        self.paths = [entry["path"] for entry in kept]
        self.num_rows = len(entries)
        self.rows = np.flatnonzero(["error" not in entry for entry in entries])
        self.lengths: NDArray[np.int64] = np.array([entry["samples"] for entry in kept], dtype=np.int64)
        self.skipped = {entry.get("part", entry["path"]): entry["error"] for entry in entries if "error" in entry}
        said = [[entry["samples"], entry.get("crc32")] for entry in kept]
        self.fingerprint = f"sha256:{sha256(json.dumps(said).encode()).hexdigest()[:16]}"
        self._ends = np.cumsum(self.lengths)
        kind = next((kind for kind, name in FILES.items() if (self.folder / name).exists()), "int16")
        self._samples = np.memmap(self.folder / FILES[kind], dtype=kind, mode="r")

    @classmethod
    def build(
        cls,
        recordings: Sequence[ManifestEntry],
        folder: str | Path,
        *,
        sampling_rate: int = 16_000,
        sample_type: SampleType = "int16",
    ) -> WaveformStore:
        """Decode recordings into the folder, or resume a build that was interrupted, or is damaged at its end.

        Unreadable recordings are noted in `index.jsonl` and left out. Files modified after decoding are decoded again
        to compare them.

        Args:
            sample_type: of the samples on disk; "int16" rounds, and clips beyond full scale.

        Raises:
            ConfigurationError: the folder is of another list of recordings, sampling rate or sample type.
            ManifestError: recordings have changed, or none can be read.
        """
        folder = Path(folder)
        index_path, samples_path = folder / INDEX, folder / FILES[sample_type]
        folder.mkdir(parents=True, exist_ok=True)
        listed = {"recordings": len(recordings), "manifest": _manifest_hash(recordings)}
        kind = {} if sample_type == "int16" else {"sample_type": sample_type}  # earlier versions knew no other
        write_or_check_settings(
            folder / SETTINGS,
            {"sampling_rate": sampling_rate, **listed, **kind},
            has_results=bool(json_lines(index_path)),
        )
        done = _sound_entries(index_path, samples_path, np.dtype(sample_type).itemsize)
        decode = partial(_decode, sampling_rate=sampling_rate, sample_type=sample_type)
        _check_unchanged(done, recordings, decode)
        _write_fields(folder / FIELDS, recordings)

        rest = recordings[len(done) :]
        if not rest:
            return cls(folder)
        samples_path.touch()
        with (
            naming(samples_path),
            open(index_path, "a", encoding="utf-8") as index,
            open(samples_path, "r+b") as samples,
            ThreadPoolExecutor() as pool,
            Progress(len(recordings), title="decoding", unit="files", done=len(done)) as progress,
        ):
            samples.truncate(np.dtype(sample_type).itemsize * sum(int(entry.get("samples", 0)) for entry in done))
            samples.seek(0, 2)
            for first in range(0, len(rest), DECODED):
                some = rest[first : first + DECODED]
                for recording, result in zip(some, pool.map(decode, some), strict=True):
                    entry = _entry(recording, result)
                    if not isinstance(result, AudioError):
                        samples.write(result.tobytes())
                        samples.flush()
                    index.write(json.dumps(entry) + "\n")
                    index.flush()
                    progress.update()
        return cls(folder)

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        """Pickle the folder only: a pickled memory map would contain all samples."""
        return type(self), (self.folder,)

    def fields(self, number: int) -> dict[str, Any]:
        """Return the manifest's fields of a recording, except its path: text, speaker, label, duration, ...

        Values that are not JSON become strings; audio in a table is left out. They are of the last `build`; a store of
        an earlier version has none until then.
        """
        if not (self.folder / FIELDS).exists():
            return {}
        with open(self.folder / FIELDS, "rb") as lines:
            lines.seek(int(self._field_starts[self.rows[number]]))
            return dict(json.loads(lines.readline()))

    @cached_property
    def _field_starts(self) -> NDArray[np.int64]:
        """Offset of each manifest row's line in the file of fields."""
        with open(self.folder / FIELDS, "rb") as lines:
            return np.cumsum([0, *map(len, lines)], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, number: int) -> NDArray[np.float32]:
        """Return a whole waveform: float32 (samples,)."""
        return self.crop(number, 0, int(self.lengths[number]))

    def crop(self, number: int, start: int, length: int) -> NDArray[np.float32]:
        """Return part of a waveform: float32 (length,), full scale from -1 to 1."""
        offset = int(self._ends[number] - self.lengths[number]) + start
        samples = self._samples[offset : offset + length].astype(np.float32)
        return samples / np.float32(32768) if self._samples.dtype == np.int16 else samples


def is_of(folder: Path, recordings: Sequence[ManifestEntry]) -> bool:
    """Return True if a folder holds the waveforms of this list of recordings."""
    settings = folder / SETTINGS
    return settings.is_file() and read_settings(settings).get("manifest") == _manifest_hash(recordings)


def corpus_hash(recordings: Sequence[ManifestEntry], sampling_rate: int) -> str:
    """Return a short hash of a list of recordings, and of sizes and modification times of their files."""
    listed = [[recording.identity, _state_of(recording)] for recording in recordings]
    return sha256(json.dumps([sampling_rate, listed]).encode()).hexdigest()[:16]


def _manifest_hash(recordings: Sequence[ManifestEntry]) -> str:
    names = [recording.identity for recording in recordings]
    return f"sha256:{sha256(json.dumps(names).encode()).hexdigest()[:16]}"


def _decode(recording: ManifestEntry, sampling_rate: int, sample_type: SampleType) -> Samples | AudioError:
    try:
        waveform = audio.read(recording.audio, sampling_rate=sampling_rate, **recording.part)
    except AudioError as error:
        return error
    if sample_type == "float32":
        return waveform
    return np.clip(np.rint(waveform * 32768), -32768, 32767).astype(np.int16)


def _write_fields(path: Path, recordings: Sequence[ManifestEntry]) -> None:
    """Write the manifest's fields of each recording, a JSON object in each line."""
    lines = []
    for recording in recordings:
        said = dict(recording.fields) | ({} if recording.duration is None else {"duration": recording.duration})
        plain = {name: value for name, value in said.items() if not _holds_bytes(value)}
        lines.append(json.dumps(plain, default=str) + "\n")
    text = "".join(lines)
    if not path.exists() or path.read_bytes() != text.encode():
        with atomic(path) as draft:
            draft.write_bytes(text.encode())


def _holds_bytes(value: object) -> bool:
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return isinstance(value, bytes) or any(map(_holds_bytes, inside))


def _entry(recording: ManifestEntry, result: Samples | AudioError) -> dict[str, Any]:
    """Make the index entry of a recording: its file, its part of it, and its length and checksum or error."""
    path, identity = str(recording.path.resolve()), recording.identity
    about: dict[str, Any] = {"path": path, "file": _state_of(recording)} | (
        {} if identity == path else {"part": identity}
    )
    if isinstance(result, AudioError):
        return about | {"error": str(result)}
    return about | {"samples": len(result), "crc32": crc32(result.tobytes())}


def _state_of(recording: ManifestEntry) -> list[Any] | None:
    """Return size and modification time of a file, or of those of a mixture; None if it is missing.

    Of bytes in a table they are the size and a checksum.
    """
    if recording.mixture is not None:
        return recording.mixture.state if recording.has_files() else None
    if recording.data is not None:
        return [len(recording.data), crc32(recording.data)]
    try:
        found = recording.path.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]


def _check_unchanged(done: Sequence[Mapping[str, Any]], recordings: Sequence[ManifestEntry], decode: Decoder) -> None:
    """Raise ManifestError if samples of recordings have changed since decoding; missing files are accepted."""
    changed = []
    for entry, recording in zip(done, recordings, strict=False):
        state = _state_of(recording)
        if state is None or state == entry.get("file"):
            continue
        now = _entry(recording, decode(recording))
        if [now.get(key) for key in ("samples", "crc32")] != [entry.get(key) for key in ("samples", "crc32")]:
            changed.append(recording.name)
    if changed:
        raise ManifestError(
            f"Recordings have changed since they were decoded: {some_of(changed, 5)}. What was made of them "
            "does not fit them any longer; choose another folder, or put the recordings back."
        )


def _sound_entries(index: Path, samples: Path, size: int) -> list[dict[str, Any]]:
    """Return the entries of an index that are whole, and whose samples of `size` bytes are there; remove the others."""
    there = samples.stat().st_size if samples.exists() else 0
    sound = []
    for entry in json_lines(index):
        there -= size * int(entry.get("samples", 0))
        if there < 0:
            break
        sound.append(entry)
    text = "".join(f"{json.dumps(entry)}\n" for entry in sound).encode()
    if index.exists() and index.read_bytes() != text:
        with atomic(index) as draft:
            draft.write_bytes(text)
    return sound

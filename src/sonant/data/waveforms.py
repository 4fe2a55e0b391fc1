"""A corpus decoded once: 16-bit samples in one memory-mapped file, so that training never waits for a decoder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any, Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from sonant import audio
from sonant.data.manifest import Recording
from sonant.data.settings import settle
from sonant.errors import AudioError, ManifestError


class WaveformStore:
    """Waveforms by number, read from disk as they are used.

    Attributes:
        paths: where each recording came from.
        lengths: int64 (recordings,) samples of each.
        skipped: path and reason of each recording that could not be read.
        fingerprint: a short hash of all waveforms.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        entries = _read_index(self.folder / "index.jsonl")
        kept = [entry for entry in entries if "error" not in entry]
        if not kept:
            why = next((f" The first: {entry['error']}" for entry in entries), "")
            raise ManifestError(f"None of the {len(entries)} recordings of the corpus could be read.{why}")
        self.paths = [entry["path"] for entry in kept]
        self.lengths: NDArray[np.int64] = np.array([entry["samples"] for entry in kept], dtype=np.int64)
        self.skipped = {entry["path"]: entry["error"] for entry in entries if "error" in entry}
        said = [[entry["samples"], entry.get("crc32")] for entry in kept]
        self.fingerprint = f"sha256:{sha256(json.dumps(said).encode()).hexdigest()[:16]}"
        self._ends = np.cumsum(self.lengths)
        self._samples = np.memmap(self.folder / "samples.i16", dtype=np.int16, mode="r")

    @classmethod
    def build(
        cls, recordings: Sequence[Recording], folder: str | Path, *, sampling_rate: int = 16_000
    ) -> WaveformStore:
        """Decode the recordings into the folder; what is there already is kept, so an interrupted build goes on.

        A recording that cannot be read is noted in `index.jsonl` and left out. A file that was written since it was
        decoded is decoded once more: a store whose recordings sound otherwise now is not gone on with.

        Raises:
            ConfigurationError: the folder holds the waveforms of another list of recordings, or at another rate.
            ManifestError: recordings have changed, or none can be read.
        """
        folder = Path(folder)
        index_path, samples_path = folder / "index.jsonl", folder / "samples.i16"
        paths = [str(recording.path.resolve()) for recording in recordings]
        done = _read_index(index_path) if index_path.exists() else []
        folder.mkdir(parents=True, exist_ok=True)
        listed = {"recordings": len(paths), "manifest": f"sha256:{sha256(json.dumps(paths).encode()).hexdigest()[:16]}"}
        settle(folder / "settings.json", {"sampling_rate": sampling_rate, **listed}, bound=bool(done))
        _check_unchanged(done, recordings, sampling_rate)

        rest = recordings[len(done) :]
        if not rest:
            return cls(folder)
        samples_path.touch()
        with (
            open(index_path, "a", encoding="utf-8") as index,
            open(samples_path, "r+b") as samples,
            ThreadPoolExecutor() as pool,
        ):
            samples.truncate(2 * sum(int(entry.get("samples", 0)) for entry in done))
            samples.seek(0, 2)
            decoded = pool.map(lambda recording: _decode(recording, sampling_rate), rest)
            for recording, result in tqdm(
                zip(rest, decoded, strict=True),
                "decoding",
                len(recordings),
                initial=len(done),
                unit="file",
                disable=None,
            ):
                entry = _entry(recording, result)
                if not isinstance(result, AudioError):
                    samples.write(result.tobytes())
                    samples.flush()
                index.write(json.dumps(entry) + "\n")
                index.flush()
        return cls(folder)

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        """Let another process map the file itself: a pickled memory map would carry all of it."""
        return type(self), (self.folder,)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, number: int) -> NDArray[np.float32]:
        """The whole waveform: float32 (samples,)."""
        return self.crop(number, 0, int(self.lengths[number]))

    def crop(self, number: int, start: int, length: int) -> NDArray[np.float32]:
        """Part of a waveform: float32 (length,), in [-1, 1)."""
        offset = int(self._ends[number] - self.lengths[number]) + start
        return self._samples[offset : offset + length].astype(np.float32) / np.float32(32768)


def _decode(recording: Recording, sampling_rate: int) -> NDArray[np.int16] | AudioError:
    try:
        waveform = audio.read(recording.path, sampling_rate=sampling_rate)
    except AudioError as error:
        return error
    return np.clip(np.rint(waveform * 32768), -32768, 32767).astype(np.int16)


def _entry(recording: Recording, result: NDArray[np.int16] | AudioError) -> dict[str, Any]:
    """The line of a recording in the index: what it holds, and which file it was read from."""
    about: dict[str, Any] = {"path": str(recording.path.resolve()), "file": _state_of(recording.path)}
    if isinstance(result, AudioError):
        return about | {"error": str(result)}
    return about | {"samples": len(result), "crc32": crc32(result.tobytes())}


def _state_of(path: Path) -> list[int] | None:
    """Size and time of writing of a file; None if it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]


def _check_unchanged(done: Sequence[Mapping[str, Any]], recordings: Sequence[Recording], sampling_rate: int) -> None:
    """Raise ManifestError if recordings sound otherwise than when they were decoded.

    Files that are gone are not missed: their waveforms are there.
    """
    changed = []
    for entry, recording in zip(done, recordings, strict=False):
        state = _state_of(recording.path)
        if state is None or state == entry.get("file"):
            continue
        now = _entry(recording, _decode(recording, sampling_rate))
        if [now.get(key) for key in ("samples", "crc32")] != [entry.get(key) for key in ("samples", "crc32")]:
            changed.append(str(recording.path))
    if changed:
        more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
        raise ManifestError(
            f"Recordings have changed since they were decoded: {', '.join(changed[:5])}{more}. What was made of them "
            "does not fit them any longer; choose another folder, or put the recordings back."
        )


def _read_index(path: Path) -> list[dict[str, Any]]:
    """The complete lines of an index; a last line cut short by a crash is dropped from the file as well."""
    text = path.read_text(encoding="utf-8")
    complete = text[: text.rfind("\n") + 1]
    if complete != text:
        path.write_text(complete, encoding="utf-8")
    return [json.loads(line) for line in complete.splitlines()]

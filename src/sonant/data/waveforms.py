"""A corpus decoded once: 16-bit samples in one memory-mapped file, so that training never waits for a decoder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from sonant import audio
from sonant.data.manifest import Recording
from sonant.errors import AudioError, ManifestError


class WaveformStore:
    """Waveforms by number, read from disk as they are used.

    Attributes:
        paths: where each recording came from.
        lengths: int64 (recordings,) samples of each.
        skipped: path and reason of each recording that could not be read.
    """

    def __init__(self, folder: str | Path) -> None:
        entries = _read_index(Path(folder) / "index.jsonl")
        kept = [entry for entry in entries if "error" not in entry]
        if not kept:
            raise ManifestError(
                f"None of the {len(entries)} recordings in {folder} could be read; see index.jsonl there for why."
            )
        self.paths = [entry["path"] for entry in kept]
        self.lengths: NDArray[np.int64] = np.array([entry["samples"] for entry in kept], dtype=np.int64)
        self.skipped = {entry["path"]: entry["error"] for entry in entries if "error" in entry}
        self._ends = np.cumsum(self.lengths)
        self._samples = np.memmap(Path(folder) / "samples.i16", dtype=np.int16, mode="r")

    @classmethod
    def build(
        cls, recordings: Sequence[Recording], folder: str | Path, *, sampling_rate: int = 16_000
    ) -> WaveformStore:
        """Decode the recordings into the folder; what is there already is kept, so an interrupted build goes on.

        A recording that cannot be read is noted in `index.jsonl` and left out.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        index_path, samples_path = folder / "index.jsonl", folder / "samples.i16"
        done = _read_index(index_path) if index_path.exists() else []
        expected = [str(recording.path.resolve()) for recording in recordings]
        if [entry["path"] for entry in done] != expected[: len(done)]:
            raise ManifestError(
                f"{folder} holds the waveforms of other recordings. Choose another folder or remove it."
            )

        def decode(recording: Recording) -> NDArray[np.int16] | AudioError:
            try:
                waveform = audio.read(recording.path, sampling_rate=sampling_rate)
            except AudioError as error:
                return error
            return np.clip(np.rint(waveform * 32768), -32768, 32767).astype(np.int16)

        rest = recordings[len(done) :]
        samples_path.touch()
        with (
            open(index_path, "a", encoding="utf-8") as index,
            open(samples_path, "r+b") as samples,
            ThreadPoolExecutor() as pool,
        ):
            samples.truncate(2 * sum(int(entry.get("samples", 0)) for entry in done))
            samples.seek(0, 2)
            decoded = pool.map(decode, rest)
            for recording, result in tqdm(
                zip(rest, decoded, strict=True),
                "decoding",
                len(recordings),
                initial=len(done),
                unit="file",
                disable=None,
            ):
                entry: dict[str, str | int] = {"path": str(recording.path.resolve())}
                if isinstance(result, AudioError):
                    entry["error"] = str(result)
                else:
                    samples.write(result.tobytes())
                    samples.flush()
                    entry["samples"] = len(result)
                index.write(json.dumps(entry) + "\n")
                index.flush()
        return cls(folder)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, number: int) -> NDArray[np.float32]:
        """The whole waveform: float32 (samples,)."""
        return self.crop(number, 0, int(self.lengths[number]))

    def crop(self, number: int, start: int, length: int) -> NDArray[np.float32]:
        """Part of a waveform: float32 (length,), in [-1, 1)."""
        offset = int(self._ends[number] - self.lengths[number]) + start
        return self._samples[offset : offset + length].astype(np.float32) / np.float32(32768)


def _read_index(path: Path) -> list[dict[str, str | int]]:
    """The complete lines of an index; a last line cut short by a crash is dropped from the file as well."""
    text = path.read_text(encoding="utf-8")
    complete = text[: text.rfind("\n") + 1]
    if complete != text:
        path.write_text(complete, encoding="utf-8")
    return [json.loads(line) for line in complete.splitlines()]

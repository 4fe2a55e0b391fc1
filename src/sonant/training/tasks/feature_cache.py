"""States of a frozen model on disk, computed once for all epochs and runs."""

import json
import shutil
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from sonant.data import WaveformStore
from sonant.data.files import atomic, json_lines, naming
from sonant.data.lock import output_lock
from sonant.data.progress import Progress
from sonant.data.settings import write_or_check_settings
from sonant.errors import ConfigurationError, SonantWarning, warn

INDEX, STATES = "index.jsonl", "states.bin"
DType = Literal["float32", "float16"]
Encode = Callable[[list[NDArray[np.float32]]], list[NDArray[np.float32]]]


@dataclass(frozen=True)
class StateKind:
    """Everything but the recording that states depend on.

    Attributes:
        model: fingerprint.
        states: those that are kept, as `Backbone.forward` takes them.
        dim: width of the model.
        precision: of the computation.
        dtype: of the numbers on disk.
    """

    model: str
    states: tuple[int | str, ...]
    dim: int
    precision: str
    dtype: DType

    @property
    def settings(self) -> dict[str, object]:
        """The kind as JSON values."""
        return vars(self) | {"states": list(self.states)}

    @property
    def bytes_per_frame(self) -> int:
        """The size of the states of a frame on disk."""
        return len(self.states) * self.dim * np.dtype(self.dtype).itemsize


class StatesPlace(NamedTuple):
    """Place of a recording's states: first frame, number of frames, checksum."""

    start: int
    frames: int
    crc32: int


class FeatureCache:
    """Memory-mapped states of recordings, by the content of their audio.

    Each kind of states has a folder of its own in `folder`, to which recordings are appended: `index.jsonl` has a line
    for each, in the order of `states.bin`. What is there is never changed, so it may be read while another run appends.
    """

    def __init__(self, folder: Path, kind: StateKind) -> None:
        key = sha256(json.dumps(kind.settings).encode()).hexdigest()[:16]
        self.folder, self.kind = folder / key, kind

    def fill(
        self,
        stores: Sequence[tuple[WaveformStore, Sequence[int]]],
        encode: Encode,
        *,
        num_frames: Callable[[int], int],
        batch_samples: int,
    ) -> list[dict[int, StatesPlace]]:
        """Compute the states of recordings that are missing or damaged; wait while another job does so.

        Args:
            stores: recordings, and the numbers of those that are used.
            encode: computes the states (frames, states, dim) of each of some waveforms (samples,).
            num_frames: gives the frames of so many samples.
            batch_samples: most samples in a batch, unless a single recording is longer.

        Returns:
            For each store the places of the states of its recordings, by number.

        Raises:
            ConfigurationError: the disk is too small, the folder is of other states, or float16 cannot hold them.
        """
        hashes = [{each: _audio_hash(store[each]) for each in numbers} for store, numbers in stores]
        where = {
            audio: (store, each)
            for (store, _), known in zip(stores, hashes, strict=True)
            for each, audio in known.items()
        }
        with output_lock(self.folder, is_folder=True, wait=True):
            write_or_check_settings(
                self.folder / "settings.json", self.kind.settings, has_results=(self.folder / INDEX).exists()
            )
            self._drop_incomplete()
            sound = self._sound(where)
            missing = [audio for audio in where if audio not in sound]
            lengths = {audio: int(store.lengths[each]) for audio, (store, each) in where.items()}
            size = sum(num_frames(lengths[audio]) for audio in missing) * self.kind.bytes_per_frame
            self._check_disk(size)
            self._append(missing, lengths, batch_samples, lambda audio: where[audio][0][where[audio][1]], encode, size)
        entries = self._entries()
        return [{each: entries[audio] for each, audio in known.items()} for known in hashes]

    def _append(
        self,
        audio: Sequence[str],
        lengths: Mapping[str, int],
        batch_samples: int,
        read: Callable[[str], NDArray[np.float32]],
        encode: Encode,
        size: int,
    ) -> None:
        """Compute states, the longest recordings first, and write them behind those that are there."""
        longest_first = sorted(audio, key=lengths.__getitem__, reverse=True)
        with (
            naming(self.folder / STATES),
            open(self.folder / INDEX, "a", encoding="utf-8") as index,
            open(self.folder / STATES, "ab") as states,
            Progress(len(audio), title=f"states of the model, {size / 1e9:.2g} GB", unit="files") as progress,
        ):
            for batch in _batches(longest_first, lengths, batch_samples):
                for name, values in zip(batch, encode([read(each) for each in batch]), strict=True):
                    data = self._stored(values).tobytes()
                    states.write(data)
                    states.flush()
                    index.write(json.dumps({"audio": name, "frames": len(values), "crc32": crc32(data)}) + "\n")
                    index.flush()
                    progress.update()

    def open(self, entries: dict[int, StatesPlace]) -> "CachedStates":
        """Return the states at the places that `fill` gave."""
        return CachedStates(self._values(), entries)

    def _values(self) -> NDArray[np.float32]:
        """Map the states: (all frames, states, dim)."""
        flat = np.memmap(self.folder / STATES, dtype=self.kind.dtype, mode="r")
        width = (len(self.kind.states), self.kind.dim)
        return flat[: len(flat) // np.prod(width) * np.prod(width)].reshape(-1, *width)

    def _lines(self) -> list[dict[str, Any]]:
        """Read the lines of the index that are whole, and whose states are in the file."""
        states = self.folder / STATES
        end = states.stat().st_size if states.exists() else 0
        kept, frames = [], 0
        for line in json_lines(self.folder / INDEX):
            frames += line["frames"]
            if frames * self.kind.bytes_per_frame > end:
                break
            kept.append(line)
        return kept

    def _entries(self) -> dict[str, StatesPlace]:
        """Read the index: for each recording the last of its entries, by the hash of its audio."""
        entries, start = {}, 0
        for line in self._lines():
            entries[line["audio"]] = StatesPlace(start, line["frames"], line["crc32"])
            start += line["frames"]
        return entries

    def _drop_incomplete(self) -> None:
        """Remove what a job that was killed wrote in part."""
        if not (self.folder / INDEX).exists():
            (self.folder / STATES).unlink(missing_ok=True)
            return
        kept = self._lines()
        with atomic(self.folder / INDEX) as draft:
            draft.write_text("".join(f"{json.dumps(line)}\n" for line in kept), encoding="utf-8")
        with open(self.folder / STATES, "ab") as states:
            states.truncate(sum(line["frames"] for line in kept) * self.kind.bytes_per_frame)

    def _sound(self, wanted: Container[str]) -> set[str]:
        """Return the recordings whose states are there and have their checksum; a warning tells of others."""
        entries = {audio: entry for audio, entry in self._entries().items() if audio in wanted}
        if not entries:
            return set()
        values = self._values()
        sound = {
            audio
            for audio, (start, frames, checksum) in entries.items()
            if crc32(values[start : start + frames].tobytes()) == checksum
        }
        if damaged := len(entries) - len(sound):
            warn(
                f"{self.folder}: the states of {damaged} recordings are damaged on disk, and are computed again.",
                SonantWarning,
            )
        return sound

    def _check_disk(self, size: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if size > free:
            raise ConfigurationError(
                f"The states of the model take {size / 1e9:,.1f} GB in {self.folder.parent}, and {free / 1e9:,.1f} GB "
                "are free there. Make room, name another folder (cache=FOLDER), halve it with cache_dtype=float16, "
                "read one layer (layer=last), or train without a cache (cache=)."
            )

    def _stored(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        with np.errstate(over="ignore"):
            stored = values.astype(self.kind.dtype)
        if np.isfinite(values).all() and not np.isfinite(stored).all():
            raise ConfigurationError(
                f"States of this model reach {np.abs(values).max():.3g}, and float16 ends at 65,504. Set "
                "cache_dtype=float32."
            )
        return stored


class CachedStates:
    """States of the recordings of a set: `states[number]` is float (frames, states, dim)."""

    def __init__(self, values: NDArray[np.float32], entries: dict[int, StatesPlace]) -> None:
        self._all, self._entries = values, entries

    def __getitem__(self, number: int) -> NDArray[np.float32]:
        start, frames, _ = self._entries[number]
        return np.array(self._all[start : start + frames])


def _audio_hash(waveform: NDArray[np.float32]) -> str:
    """Return a hash of a waveform."""
    return blake2b(waveform.tobytes(), digest_size=16).hexdigest()


def _batches(audio: Sequence[str], lengths: Mapping[str, int], most: int) -> list[list[str]]:
    """Divide recordings, in order, into batches of at most so many samples."""
    batches: list[list[str]] = []
    room = 0
    for each in audio:
        if lengths[each] > room:
            batches.append([])
            room = most
        batches[-1].append(each)
        room -= lengths[each]
    return batches

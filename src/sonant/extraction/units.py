"""Discrete units of speech: the codes of a quantizer, or the clusters of a hidden state, a number for each frame.

Long recordings come in windows, as everywhere; numbers cannot be blended, so each frame's is taken from the window in
whose middle it lies.
"""

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Protocol, TextIO, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sonant.data.files import atomic
from sonant.data.settings import settle
from sonant.errors import one_line
from sonant.extraction.destination import Destination, destination
from sonant.extraction.engine import Engine, OnError, Outcome
from sonant.extraction.inputs import Entry, check_source
from sonant.extraction.journal import failure, write_failures, write_lines
from sonant.extraction.names import as_json, output_names
from sonant.extraction.progress import Progress
from sonant.extraction.request import Request
from sonant.extraction.sinks import Sink
from sonant.extraction.sources import AudioSource
from sonant.extraction.summary import Summary
from sonant.layers.clip_statistics import ClipStatistics
from sonant.layers.packed import Packed
from sonant.models.backbone import Backbone, Encoded

UnitFormat = Literal["text", "jsonl", "npy"]
GROUP = 256  # recordings whose units are held in memory at a time


@runtime_checkable
class Coder(Protocol):
    """A model that has discrete codes of its own."""

    def codes(self, speech: Packed) -> Packed:
        """Map waveforms (total_samples,) to codes, int64 (total_frames, groups)."""


class Coding(Backbone):
    """A wrapper of a model whose only state is its codes, so that they are treated as frames are."""

    def __init__(self, model: Backbone) -> None:
        super().__init__()
        self.model, self.config = model, model.config

    def forward(
        self,
        speech: Packed,
        *,
        layers: Collection[int | str] | None = None,  # noqa: ARG002 - there is one
        statistics: ClipStatistics | None = None,  # noqa: ARG002 - `clip_statistics` asks for none
    ) -> Encoded:
        assert isinstance(self.model, Coder)
        codes = self.model.codes(speech)
        return Encoded({}, codes.values, codes.lengths, self.frame_rate)


Label = Callable[[Tensor], Tensor]  # frames (frames, dim) to their units, int64 (frames,) or (frames, groups)


@dataclass(frozen=True, eq=False)
class Units:
    """Units without repetitions.

    Attributes:
        values: int64 (units,), or (units, groups).
        durations: int64 (units,); the frames that each lasts.
    """

    values: NDArray[np.int64]
    durations: NDArray[np.int64]


def deduplicate(units: NDArray[np.int64]) -> Units:
    """Merge each run of equal units (frames,) or (frames, groups) into one."""
    rows = _rows(units)
    starts = np.flatnonzero(np.append(len(rows) > 0, (rows[1:] != rows[:-1]).any(1)))
    return Units(units[starts], np.diff(np.append(starts, len(rows))))


def _rows(units: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return units (units,) or (units, groups) as (units, groups)."""
    return units[:, None] if units.ndim == 1 else units


class UnitSink:
    """A sink that turns frames into units as they come, and keeps only these."""

    def __init__(self, label: Label) -> None:
        self._label = label
        self._blocks: list[Tensor] = []

    def append(self, frames: Tensor) -> None:
        self._blocks.append(self._label(frames[0]).cpu())

    def finish(self) -> NDArray[np.int64]:
        return torch.cat(self._blocks).numpy()

    def abandon(self) -> None:
        self._blocks.clear()


def write_units(
    engine: Engine,
    entries: Sequence[Entry],
    place: Destination[UnitFormat],
    request: Request,
    label: Label,
    *,
    settings: Mapping[str, Any],
    without_repetitions: bool = False,
    on_error: OnError = "skip",
    show_progress: bool | None = None,
    stdout: TextIO | None = None,
    on_failure: Callable[[str, Exception], None] = lambda _name, _error: None,
) -> Summary:
    """Write the units of many recordings, in the order of the input.

    - text: a line a recording, its name, a tab, its units with spaces between; codes of several groups joined by "-".
    - jsonl: a line a recording with path, seconds, frames, units, and durations where repetitions were taken out.
    - npy: a folder with an array for each recording in `units/`, durations in `durations/`, `index.jsonl`, and
      `settings.json`, which says what made them.

    Where a channel was chosen, its number comes after the name (or path), and ".channel0" is in the names of files.
    Recordings that could not be used are listed in `errors.jsonl`, beside the file or in the folder.

    Args:
        place: where they go, see `unit_destination`.
        settings: whatever shapes the units, for `settings.json`.
        stdout: for lines on standard output; None: the program's own.
        on_failure: called with the name of each recording that could not be used, and why.

    Raises:
        ConfigurationError: the folder holds units of other settings (it lists what differs), or another job fills it.
    """
    sources = [
        entry.source(sampling_rate=engine.sampling_rate, min_samples=engine.receptive_field) for entry in entries
    ]
    errors: list[dict[str, Any]] = []
    done, frames = 0, 0
    with place.held(), ExitStack() as stack:
        if place.path is not None and place.is_folder:
            used = any((place.path / name).exists() for name in ("units", "index.jsonl"))
            settle(place.path / "settings.json", settings, bound=used)
        seconds, failures = engine.lengths(sources, on_error=on_error)
        unreadable = {failure.item: failure for failure in failures}
        progress = stack.enter_context(
            Progress(sum(length or 0.0 for length in seconds), show=show_progress, title="units")
        )
        writer = stack.enter_context(_writer(place, entries, stdout))
        for outcome in _in_order(engine, sources, seconds, request, label, unreadable, on_error, progress):
            entry = entries[outcome.item]
            if outcome.error is not None:
                errors.append(failure(entry.facts, outcome.error))
                on_failure(entry.name, outcome.error)
                continue
            units = deduplicate(outcome.value) if without_repetitions else Units(outcome.value, np.zeros(0, np.int64))
            writer.put(outcome, entry, units, timed=without_repetitions)
            done, frames = done + 1, frames + outcome.frames
        return Summary(
            output=place.path or Path("-"),
            computed=done,
            kept=0,
            failed=len(errors),
            seconds=progress.seconds,
            wall_seconds=progress.wall_seconds,
            num_bytes=writer.num_bytes,
            errors=None if place.errors_path is None else write_failures(place.errors_path, errors),
        )


def unit_destination(
    output: str | PathLike[str] | None, kind: UnitFormat | None, source: str | PathLike[str]
) -> Destination[UnitFormat]:
    """Return where units go: lines on standard output or in a .txt or .jsonl file, else arrays in a folder."""
    check_source(source)
    return destination(
        output,
        kind,
        what="units",
        endings={".txt": "text", ".jsonl": "jsonl"},
        folders=["npy"],
        usual="npy",
        printed="text",
        source=source,
    )


def _in_order(
    engine: Engine,
    sources: Sequence[AudioSource],
    seconds: Sequence[float | None],
    request: Request,
    label: Label,
    unreadable: dict[int, Outcome],
    on_error: OnError,
    progress: Progress,
) -> Iterator[Outcome]:
    """Yield the outcome of each recording in order, computing some ahead, so that similar lengths share a pass."""

    def sink(_: int, *, windowed: bool) -> Sink:  # noqa: ARG001 - units are small, whatever the length
        return UnitSink(label)

    for start in range(0, len(sources), GROUP):
        items = range(start, min(start + GROUP, len(sources)))
        outcomes = {item: unreadable[item] for item in items if item in unreadable}
        batches = engine.plan([seconds[item] for item in items], request)
        group = [sources[item] for item in items]
        for batch in engine.run(group, batches, request, sink, on_error=on_error, progress=progress):
            for outcome in batch:
                item = start + outcome.item
                outcomes[item] = Outcome(item, outcome.seconds, outcome.frames, outcome.value, outcome.error)
        yield from (outcomes[item] for item in items)


class _Writer(Protocol):
    num_bytes: int

    def put(self, outcome: Outcome, entry: Entry, units: Units, *, timed: bool) -> None: ...


@contextmanager
def _writer(place: Destination[UnitFormat], entries: Sequence[Entry], stdout: TextIO | None) -> Iterator[_Writer]:
    if place.path is None:
        yield _Lines(place.kind, stdout or sys.stdout)
    elif place.is_folder:
        arrays = _Arrays(place.path, output_names([entry.file_name for entry in entries], "npy"))
        yield arrays
        write_lines(place.path / "index.jsonl", arrays.index)
    else:
        with atomic(place.path) as draft, draft.open("w", encoding="utf-8") as file:
            yield _Lines(place.kind, file)


class _Lines:
    """A writer of a line for each recording."""

    def __init__(self, kind: UnitFormat, file: TextIO) -> None:
        self.kind, self.file, self.num_bytes = kind, file, 0

    def put(self, outcome: Outcome, entry: Entry, units: Units, *, timed: bool) -> None:
        if self.kind == "text":
            of_channel = "" if entry.channel is None else f"\t{entry.channel}"
            line = f"{one_line(entry.name)}{of_channel}\t{as_text(units.values)}\n"
        else:
            row = {**entry.facts, "seconds": round(outcome.seconds, 6), "frames": outcome.frames}
            row |= {"units": units.values.tolist()} | ({"durations": units.durations.tolist()} if timed else {})
            line = as_json(row) + "\n"
        self.file.write(line)
        self.num_bytes += len(line.encode())


class _Arrays:
    """A writer of an array for each recording."""

    def __init__(self, folder: Path, files: Sequence[str]) -> None:
        self.folder, self.files, self.num_bytes = folder, files, 0
        self.index: list[dict[str, Any]] = []

    def put(self, outcome: Outcome, entry: Entry, units: Units, *, timed: bool) -> None:
        row = {**entry.facts, "seconds": round(outcome.seconds, 6), "frames": outcome.frames}
        for what, array in (("units", units.values), ("durations", units.durations))[: 1 + timed]:
            path = self.folder / what / self.files[outcome.item]
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic(path) as draft, draft.open("wb") as file:
                np.save(file, array)
            row["file" if what == "units" else what] = path.relative_to(self.folder).as_posix()
            self.num_bytes += path.stat().st_size
        self.index.append(row)


def as_text(units: NDArray[np.int64]) -> str:
    """Return units (units,) or (units, groups) as words: "71 12 12", or "3-17 3-254"."""
    return " ".join("-".join(map(str, row)) for row in _rows(units).tolist())

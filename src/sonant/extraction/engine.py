"""The engine: a model run over recordings in batches, with decoding ahead, windows and several devices."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np

from sonant.audio import cut
from sonant.extraction.batching import PlannedBatch, pack
from sonant.extraction.forward import Forward, suitable_batch_seconds
from sonant.extraction.in_progress import UNUSABLE, Cut, Piece, RecordingInProgress
from sonant.extraction.long_recordings import (
    computed_samples,
    cut_up,
    in_blocks,
    statistics_of,
    windowing_for,
    windowing_of,
)
from sonant.extraction.passes import compute, planned
from sonant.extraction.prefetch import ahead, map_ahead, share
from sonant.extraction.progress import AudioProgress
from sonant.extraction.request import EncodeRequest
from sonant.extraction.sinks import MakeSink, Sink, in_memory
from sonant.extraction.sources import Source
from sonant.models.backbone import Backbone

OnError = Literal["raise", "skip"]
READERS = min(32, max(4, os.cpu_count() or 1))  # decoding threads; they release the GIL most of the time


@dataclass(frozen=True)
class Outcome:
    """Result or error of one recording."""

    item: int
    seconds: float
    frames: int = 0
    value: Any = None
    error: Exception | None = None


class Engine:
    """A model on one or several devices, run over recordings.

    Args:
        backbones: copies of one model in evaluation mode, one per device, usually optimized for inference.
    """

    def __init__(self, backbones: Sequence[Backbone]) -> None:
        self.backbones = list(backbones)
        first = self.backbones[0]
        self.stride, self.receptive_field = first.stride, first.receptive_field
        self.sampling_rate = first.sampling_rate

    def lengths(self, sources: Sequence[Source], *, on_error: OnError) -> tuple[list[float | None], list[Outcome]]:
        """Return each recording's duration from its header (None if unreadable), and the failures."""
        failures: list[Outcome] = []
        seconds: list[float | None] = []
        for item, length in enumerate(map_ahead(_length, sources, workers=READERS, depth=64)):
            if isinstance(length, Exception):
                failures.append(_failed(item, sources[item], length, on_error))
            seconds.append(None if isinstance(length, Exception) else length)
        return seconds, failures

    def batch_seconds(self, request: EncodeRequest) -> float:
        """Return the seconds of audio in a forward pass: as requested, else the default of the smallest device."""
        if request.batch_seconds is not None:
            return request.batch_seconds
        return min(map(suitable_batch_seconds, self.backbones))

    def plan(self, seconds: Sequence[float | None], request: EncodeRequest) -> list[PlannedBatch]:
        """Pack recordings into batches, which depend only on lengths, request and kind of device."""
        windowing, rate = windowing_of(request, self.backbones[0]), self.sampling_rate
        computed = [
            None if length is None else computed_samples(round(length * rate), windowing) / rate for length in seconds
        ]
        return pack(computed, batch_seconds=self.batch_seconds(request), window_seconds=request.window_seconds)

    def run(
        self,
        sources: Sequence[Source],
        batches: Sequence[PlannedBatch],
        request: EncodeRequest,
        sink: MakeSink,
        *,
        on_error: OnError = "raise",
        progress: Callable[[float], None] = lambda _: None,
    ) -> Iterator[list[Outcome]]:
        """Compute batches of `sources`, and yield the outcomes of each in order.

        Args:
            sink: makes the sink of a recording.
            on_error: "raise" raises the error of an unusable recording, "skip" returns it as its outcome.
            progress: called with the seconds of audio finished since the last call.
        """
        run = _Run(self, sources, request, sink, on_error, progress)
        workers = [partial(run.compute, Forward(backbone, self.batch_seconds(request))) for backbone in self.backbones]
        room = self.batch_seconds(request) * self.sampling_rate
        with ThreadPoolExecutor(READERS, thread_name_prefix="sonant-decode") as readers:
            for _ in share(planned(run.opened(batches, readers), room), workers):
                yield from run.finished()
        yield from run.finished()


@dataclass(frozen=True)
class _Run:
    """State of one call of `Engine.run`."""

    engine: Engine
    sources: Sequence[Source]
    request: EncodeRequest
    make_sink: MakeSink
    on_error: OnError
    progress: Callable[[float], None]
    under_way: deque[tuple[PlannedBatch, list[RecordingInProgress]]] = field(default_factory=deque)

    def opened(self, batches: Sequence[PlannedBatch], readers: Executor) -> Iterator[list[RecordingInProgress]]:
        """Yield the recordings of each batch; a bounded number of batches is read ahead in threads."""
        depth = 2 * len(self.engine.backbones) + 1

        def open_all(batch: PlannedBatch) -> list[RecordingInProgress]:
            return list((map if batch.is_streamed else readers.map)(partial(self._open, batch), batch.items))

        for batch, recordings in zip(batches, map_ahead(open_all, batches, workers=depth, depth=depth), strict=True):
            self.under_way.append((batch, recordings))
            yield recordings

    def _open(self, batch: PlannedBatch, item: int) -> RecordingInProgress:
        """Read a recording whole, or the statistics that a streamed one needs before its first window."""
        source, backbone = self.sources[item], self.engine.backbones[0]
        windowing = windowing_of(self.request, backbone)
        pieces: Cut
        if batch.is_streamed and windowing is not None:
            blocks = partial(_ahead, source)
            pieces = cut(blocks(), windowing)
        else:
            try:
                samples = source.read()
            except UNUSABLE as error:
                return RecordingInProgress.unusable(error)
            windowing = windowing_for(len(samples), windowing)
            blocks, pieces = partial(in_blocks, samples, backbone.sampling_rate), cut_up(samples, windowing)
        try:
            sink = self.make_sink(item, windowed=windowing is not None)
        except UNUSABLE as error:  # such as of a text that cannot be aligned
            return RecordingInProgress.unusable(error)
        gather = None if windowing is None else partial(statistics_of, backbone, blocks)
        recording = RecordingInProgress(pieces, self.request.layers, sink, gather=gather)
        recording.gather_statistics()
        return recording

    def compute(self, forward: Forward, pieces: Sequence[Piece]) -> None:
        """Compute the pieces of a forward pass on a device."""
        compute(forward, pieces)
        self.progress(sum(self._seconds(piece) for piece in pieces if piece.recording.error is None))

    def finished(self) -> Iterator[list[Outcome]]:
        """Yield the outcomes of finished batches, in order."""
        while self.under_way and all(recording.is_over for recording in self.under_way[0][1]):
            batch, recordings = self.under_way.popleft()
            yield [self._outcome(item, recording) for item, recording in zip(batch.items, recordings, strict=True)]

    def _seconds(self, piece: Piece) -> float:
        """Return the seconds of a recording that a piece covers, overlaps of windows counted once."""
        samples = piece.size if piece.window is None else piece.window.keep_frames * self.engine.stride
        return samples / self.engine.sampling_rate

    def _outcome(self, item: int, recording: RecordingInProgress) -> Outcome:
        if recording.error is not None:
            return _failed(item, self.sources[item], recording.error, self.on_error)
        return Outcome(item, recording.samples / self.engine.sampling_rate, recording.frames, recording.value)


def collect(
    engine: Engine,
    sources: Sequence[Source],
    request: EncodeRequest,
    *,
    on_error: OnError = "raise",
    show_progress: bool | None = False,
    make_sink: Callable[[Source], Sink] | None = None,
) -> tuple[list[Any], list[Outcome]]:
    """Return the results of all recordings in order (None for failures), and the failures in order.

    `make_sink` makes the sink of a recording; None: results are tensors as in `request`.
    """

    def sink(item: int, *, windowed: bool) -> Sink:  # noqa: ARG001 - the sink is the same in windows
        return in_memory(request) if make_sink is None else make_sink(sources[item])

    results: list[Any] = [None] * len(sources)
    seconds, failures = engine.lengths(sources, on_error=on_error)
    with AudioProgress(sum(length or 0.0 for length in seconds), show=show_progress) as progress:
        batches = engine.plan(seconds, request)
        for outcomes in engine.run(sources, batches, request, sink, on_error=on_error, progress=progress):
            for outcome in outcomes:
                results[outcome.item] = outcome.value
                failures += [outcome] if outcome.error is not None else []
    return results, sorted(failures, key=lambda failure: failure.item)


def _length(source: Source) -> float | Exception:
    try:
        return source.seconds()
    except UNUSABLE as error:
        return error


def _ahead(source: Source) -> Iterator[np.ndarray]:
    return ahead(source.blocks())


def _failed(item: int, source: Source, error: Exception, on_error: OnError) -> Outcome:
    """Return the outcome of an unusable recording, or raise the error; other errors are always raised."""
    is_unusable = isinstance(error, UNUSABLE)
    if on_error == "raise" or not is_unusable:
        number = item if source.number is None else source.number
        cure = "; on_error='skip' goes on without it" if is_unusable else ""
        error.add_note(f"It was recording {number} (counted from 0), {source.name}{cure}.")
        raise error
    return Outcome(item, 0.0, error=error)

"""The engine that runs a model over recordings: in batches, decoded ahead, long ones in windows, on many devices."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Literal

import numpy as np
from torch import Tensor

from sonant.audio import Windowing, cut
from sonant.errors import AudioError, MissingExtra, NonFiniteStates
from sonant.extraction.batching import Batch, pack
from sonant.extraction.forward import Clip, Forward, suitable_batch_seconds
from sonant.extraction.long_recordings import statistics_of, windowing_of
from sonant.extraction.prefetch import ahead, map_ahead, share
from sonant.extraction.progress import Progress
from sonant.extraction.request import Request
from sonant.extraction.sinks import MakeSink, ResumableSink, Sink, deliver, in_memory
from sonant.extraction.sources import Source
from sonant.inference.torch_modes import neutral_torch_modes
from sonant.models.backbone import Backbone

OnError = Literal["raise", "skip"]
READERS = min(32, max(4, os.cpu_count() or 1))  # threads that decode; they work without Python for most of the time
UNUSABLE = (AudioError, MissingExtra, NonFiniteStates)  # what is wrong with one recording; all else stops the work


@dataclass(frozen=True)
class Outcome:
    """The outcome of one recording: a value, or the error that prevented it."""

    item: int
    seconds: float
    frames: int = 0
    value: Any = None
    error: Exception | None = None


@dataclass(frozen=True)
class Recording:
    """Decoded samples (samples,).

    Attributes:
        samples: float32.
        is_long: whether there are more of them than a window has, although the header announced fewer.
    """

    samples: np.ndarray
    is_long: bool


@dataclass(frozen=True)
class Job:
    """A batch with its recordings decoded, or their errors; a windowed recording is read while it is computed."""

    batch: Batch
    recordings: tuple[Recording | Exception, ...] = ()


class Engine:
    """An engine that runs one model, copied to every device, over recordings.

    Args:
        backbones: the same model on each device, in evaluation mode, from `sonant.inference.optimize`; their sizes and
            rates are read from the first.
    """

    def __init__(self, backbones: Sequence[Backbone]) -> None:
        self.backbones = list(backbones)
        first = self.backbones[0]
        self.stride, self.receptive_field = first.stride, first.receptive_field
        self.sampling_rate = first.sampling_rate

    def lengths(self, sources: Sequence[Source], *, on_error: OnError) -> tuple[list[float | None], list[Outcome]]:
        """Return the seconds of each recording from its header (None if it cannot be read), and the failures."""
        failures: list[Outcome] = []
        seconds: list[float | None] = []
        for item, length in enumerate(map_ahead(_length, sources, workers=READERS, depth=64)):
            if isinstance(length, Exception):
                failures.append(_failed(item, sources[item], length, on_error))
            seconds.append(None if isinstance(length, Exception) else length)
        return seconds, failures

    def batch_seconds(self, request: Request) -> float:
        """Return the seconds of audio in a forward pass: as requested, else what suits the smallest of the devices."""
        if request.batch_seconds is not None:
            return request.batch_seconds
        return min(map(suitable_batch_seconds, self.backbones))

    def plan(self, seconds: Sequence[float | None], request: Request) -> list[Batch]:
        """Pack the recordings into batches, which depend on the lengths, the request and the kind of device alone."""
        return pack(seconds, batch_seconds=self.batch_seconds(request), window_seconds=request.window_seconds)

    def run(
        self,
        sources: Sequence[Source],
        batches: Sequence[Batch],
        request: Request,
        sink: MakeSink,
        *,
        on_error: OnError = "raise",
        progress: Callable[[float], None] = lambda _: None,
    ) -> Iterator[list[Outcome]]:
        """Compute the batches, and yield the outcomes of each in order.

        Args:
            sources: the recordings.
            batches: the numbers of recordings that share a forward pass.
            request: what to compute of each.
            sink: makes the receiver of a recording's frames.
            on_error: "skip" makes an unusable recording an outcome with an error, "raise" raises it.
            progress: called with the seconds of audio done since the last call.
        """
        model = self.backbones[0]
        windowing = windowing_of(request, model)

        def decode(batch: Batch) -> Job:
            wanted = () if batch.windowed else [sources[item] for item in batch.items]
            return Job(batch, tuple(readers.map(read, wanted)))

        def read(source: Source) -> Recording | Exception:
            try:
                samples = source.read()
            except UNUSABLE as error:
                return error
            is_long = request.window_seconds is not None and len(samples) > request.window_seconds * self.sampling_rate
            return Recording(samples, is_long)

        def worker(backbone: Backbone) -> Callable[[Job], list[Outcome]]:
            forward = Forward(backbone, self.batch_seconds(request))
            run = _Run(self, forward, request, windowing, sink, on_error, progress)

            def work(job: Job) -> list[Outcome]:
                with neutral_torch_modes():
                    return run.job(job, sources)

            return work

        with ThreadPoolExecutor(READERS, thread_name_prefix="sonant-decode") as readers:
            # Decoding is at most so many batches ahead of computing: memory stays bounded. Several are decoded at once,
            # since a batch may be a single long recording.
            depth = 2 * len(self.backbones) + 1
            jobs = map_ahead(decode, batches, workers=depth, depth=depth)
            yield from share(jobs, [worker(backbone) for backbone in self.backbones])


@dataclass
class _Run:
    """The work of one device on one request."""

    engine: Engine
    forward: Forward
    request: Request
    windowing: Windowing | None
    sink: MakeSink
    on_error: OnError
    progress: Callable[[float], None]

    def job(self, job: Job, sources: Sequence[Source]) -> list[Outcome]:
        """Compute a batch, and return the outcomes in the order of its items."""
        if job.batch.windowed:
            (item,) = job.batch.items
            source = sources[item]
            return [self._guarded(item, source, source.blocks)]
        outcomes: dict[int, Outcome] = {}
        whole: list[tuple[int, np.ndarray]] = []
        for item, recording in zip(job.batch.items, job.recordings, strict=True):
            if isinstance(recording, Exception):
                outcomes[item] = _failed(item, sources[item], recording, self.on_error)
            elif recording.is_long:
                outcomes[item] = self._guarded(item, sources[item], partial(_in_one_block, recording.samples))
            else:
                whole.append((item, recording.samples))
        for (item, clip), frames in zip(whole, self.forward(self._clips(clip for _, clip in whole)), strict=True):
            outcomes[item] = self._delivered(item, sources[item], frames, len(clip) / self._rate)
            self.progress(len(clip) / self._rate)
        return [outcomes[item] for item in job.batch.items]

    @property
    def _rate(self) -> int:
        return self.engine.sampling_rate

    def _delivered(self, item: int, source: Source, frames: Tensor | NonFiniteStates, seconds: float) -> Outcome:
        """Return the outcome of a recording that was computed in one pass."""
        sink = self.sink(item, windowed=False)
        try:
            count = deliver(sink, frames)
            return Outcome(item, seconds, count, sink.finish())
        except UNUSABLE as error:
            sink.abandon()
            return _failed(item, source, error, self.on_error)

    def _guarded(self, item: int, source: Source, blocks: Callable[[], Iterator[np.ndarray]]) -> Outcome:
        sink = self.sink(item, windowed=True)
        try:
            return self._windowed(item, blocks, sink)
        except UNUSABLE as error:
            sink.abandon()
            return _failed(item, source, error, self.on_error)
        except Exception:  # not what stops a program: a run that is interrupted goes on later
            sink.abandon()
            raise

    def _windowed(self, item: int, blocks: Callable[[], Iterator[np.ndarray]], sink: Sink) -> Outcome:
        """Compute a long recording in windows, after a first pass for the statistics that the model needs, if any."""
        assert self.windowing is not None
        statistics = statistics_of(self.forward.backbone, lambda: ahead(blocks()))
        frames, counter = 0, _Counter()
        stream = cut(counter(ahead(blocks())), self.windowing)
        done = sink.windows if isinstance(sink, ResumableSink) else 0
        for window, _ in islice(stream, done):
            frames += window.keep_frames
        while group := list(islice(stream, max(1, int(self.forward.budget // self.windowing.window_samples)))):
            clips = self._clips(samples for _, samples in group)
            for (window, _), states in zip(group, self.forward(clips, statistics), strict=True):
                deliver(sink, states, window)
                frames += window.keep_frames
                self.progress(window.keep_frames * self.engine.stride / self._rate)
            done += len(group)
            if isinstance(sink, ResumableSink):
                sink.save(done)
        return Outcome(item, counter.samples / self._rate, frames, sink.finish())

    def _clips(self, waveforms: Iterable[np.ndarray]) -> list[Clip]:
        return [Clip(samples, self.request.layers) for samples in waveforms]


class _Counter:
    """A counter of the samples that pass through it."""

    def __init__(self) -> None:
        self.samples = 0

    def __call__(self, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        for block in blocks:
            self.samples += len(block)
            yield block


def collect(
    engine: Engine,
    sources: Sequence[Source],
    request: Request,
    *,
    on_error: OnError = "raise",
    show_progress: bool | None = False,
    make_sink: Callable[[Source], Sink] | None = None,
) -> tuple[list[Any], list[Outcome]]:
    """Return all results in memory, in order, None where a recording failed; and the failures in order.

    `make_sink` makes the receiver of a recording's frames; None: the results are tensors as in `request`.
    """

    def sink(item: int, *, windowed: bool) -> Sink:  # noqa: ARG001 - in memory all lengths are alike
        return in_memory(request) if make_sink is None else make_sink(sources[item])

    results: list[Any] = [None] * len(sources)
    seconds, failures = engine.lengths(sources, on_error=on_error)
    with Progress(sum(length or 0.0 for length in seconds), show=show_progress) as progress:
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


def _in_one_block(waveform: np.ndarray) -> Iterator[np.ndarray]:
    yield waveform


def _failed(item: int, source: Source, error: Exception, on_error: OnError) -> Outcome:
    if on_error == "raise":
        number = item if source.number is None else source.number
        error.add_note(
            f"It was recording {number} (counted from 0), {source.name}; on_error='skip' goes on without it."
        )
        raise error
    return Outcome(item, 0.0, error=error)

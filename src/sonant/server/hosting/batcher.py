"""Queue of one model, which batches recordings of different callers."""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from sonant.audio import Windowing
from sonant.errors import TooShortAudio
from sonant.extraction.heads import Answer, HeadPipeline
from sonant.extraction.in_progress import Piece, RecordingInProgress
from sonant.extraction.long_recordings import cut_up, in_blocks, statistics_of, windowing_for
from sonant.extraction.passes import compute
from sonant.extraction.sources import AudioSource
from sonant.server.errors import INTERNAL, ApiError
from sonant.server.hosting.calls import Call, Queued
from sonant.server.hosting.devices import TIMES_LONGER, Worker, torch_thread
from sonant.server.metrics import Metrics
from sonant.server.settings import Queue
from sonant.server.sharing.fair_queue import FairQueue
from sonant.server.sharing.room import SharedRoom

logger = logging.getLogger(__name__)

TURNS_A_BATCH = 16  # turns of the fair queue in a batch, so that as many shares can be in it
LEAST_BATCHES = 2  # batches that may wait even at low throughput


@dataclass(frozen=True)
class QueueStats:
    """State of a queue.

    Attributes:
        queue_seconds: waiting audio.
        capacity_seconds: audio that may wait.
        waiting_requests: requests without a result.
        audio_seconds_per_second: throughput under load; None if not measured yet.
    """

    queue_seconds: float
    capacity_seconds: float
    waiting_requests: int
    audio_seconds_per_second: float | None


class Batcher:
    """Queue with a worker for each compute thread.

    A batch is made when a worker is free, of the recordings waiting then: a single request starts at once, and under
    load batches fill while the previous one is computed. The worker hands a recording, or a window of one, that is
    longer than a batch to a thread for such lengths; while all of these are busy, its share waits.

    Args:
        windowing: for long recordings.
        name: of the model, for messages and metrics.
    """

    def __init__(
        self, workers: Sequence[Worker], windowing: Windowing, settings: Queue, name: str, metrics: Metrics
    ) -> None:
        self._workers = list(workers)
        self._idle = [list(workers) for _ in range(min(worker.num_threads for worker in workers))]  # by thread
        self._num_passes = 0  # under way
        self._backbone = workers[0].backbone
        self._rate = self._backbone.sampling_rate
        self._windowing, self._settings, self._name = windowing, settings, name
        self._batch_samples = min(worker.budget for worker in workers)
        self._queue: FairQueue[Queued] = FairQueue(round(self._batch_samples / TURNS_A_BATCH))
        self._room = SharedRoom()  # of waiting samples
        self._calls: set[Call] = set()
        self._closed: ApiError | None = None
        self._lock = threading.Lock()
        self._measuring = torch_thread("sonant-statistics")
        self._queue_seconds = metrics.queue_seconds.labels(name)
        self._batch_fill = metrics.batch_fill.labels(name)
        self._queue_time = metrics.stage_seconds.labels("queue", name)
        self._forward_time = metrics.stage_seconds.labels("forward", name)

    @property
    def stats(self) -> QueueStats:
        """Current state of the queue."""
        with self._lock:
            waiting = self._room.total
        return QueueStats(waiting / self._rate, self._capacity, len(self._calls), self._speed)

    @property
    def _speed(self) -> float | None:
        """Throughput of all devices, in seconds of audio a second."""
        measured = [worker.audio_seconds_per_second for worker in self._workers]
        return sum(speed for speed in measured if speed) or None

    @property
    def _capacity(self) -> float:
        """Seconds of audio that may wait."""
        if self._settings.seconds is not None:
            return self._settings.seconds
        least = LEAST_BATCHES * self._batch_samples / self._rate * len(self._workers)
        return max(least, (self._speed or 0.0) * self._settings.wait_seconds)

    def check_room(self, samples: int, share: str | None = None) -> None:
        """Raise ApiError, as `run` does, if these samples do not fit into the queue; 0 tests for any room."""
        with self._lock:
            self._check_room(max(1, samples), share)

    def _check_room(self, samples: int, share: str | None) -> None:
        if self._closed is not None:
            raise self._closed.copy()
        excess = self._room.excess(samples, self._capacity * self._rate, share)
        if excess > 0:
            speed = self._speed or 1.0
            raise ApiError(
                429,
                "server_is_overloaded",
                f"{self._name} has {self._room.total / self._rate:.0f} s of audio waiting, and "
                f"{samples / self._rate:.1f} s more do not fit into its queue of {self._capacity:.0f} s, of which an "
                "account may fill three times what it leaves free. Try again later, or send less at a time.",
                retry_after=excess / self._rate / speed,
            )

    async def run(
        self,
        waveforms: Sequence[np.ndarray],
        pipeline: HeadPipeline[Answer],
        *,
        share: str,
    ) -> list[Answer]:
        """Run a pipeline on each recording. Cancellation removes the recordings from the queue.

        Args:
            waveforms: float32 (samples,) each, at the model's rate.
            pipeline: the states to compute, and the sinks that receive them.
            share: whose turns in the fair queue are used.

        Raises:
            TooShortAudio: a recording is shorter than the receptive field, or than the pipeline needs.
            ApiError: 429 `server_is_overloaded`; 503 after `close`; 500 for an error of the model.
            Exception: errors of a sink.
        """
        for waveform in waveforms:
            if len(waveform) < pipeline.min_samples:
                raise TooShortAudio(
                    f"A recording of {len(waveform)} samples is too short for {self._name}, which takes in "
                    f"{pipeline.min_samples} ({pipeline.min_samples / self._rate:.3f} s) at least."
                )
        if not waveforms:
            return []
        call = Call(share)
        call.recordings = [self._recording(call, waveform, pipeline) for waveform in waveforms]
        queued = [Queued(call, piece) for recording in call.recordings for piece in recording.pieces()]
        samples = sum(one.size for one in queued)
        with self._lock:
            self._check_room(samples, share)
            self._room.add(share, samples)
            call.waiting = samples
            self._calls.add(call)
        try:
            if any(windowing_for(len(waveform), self._windowing) for waveform in waveforms):
                self._measuring.submit(self._measure, call, queued)
            else:
                self._put(call, queued)
            del queued, waveforms
            return await call.future
        finally:
            self._forget(call)

    def _recording(self, call: Call, waveform: np.ndarray, pipeline: HeadPipeline[Any]) -> RecordingInProgress:
        windowing = windowing_for(len(waveform), self._windowing)
        blocks = partial(in_blocks, waveform, self._rate)
        return RecordingInProgress(
            cut_up(waveform, windowing),
            pipeline.layers,
            pipeline.make_sink(AudioSource(waveform, self._rate, pipeline.min_samples)),
            gather=None if windowing is None else partial(statistics_of, self._backbone, blocks),
            on_end=call.ended,
        )

    def _measure(self, call: Call, queued: Sequence[Queued]) -> None:
        """Gather statistics of long recordings, then queue their windows."""
        try:
            for recording in call.recordings:
                recording.gather_statistics()
            self._put(call, queued)
        except Exception as error:  # noqa: BLE001 - passed on to the caller
            call.fail(error)

    def _put(self, call: Call, queued: Sequence[Queued]) -> None:
        with self._lock:
            if call.is_over:
                return
            for one in queued:
                self._queue.put(call.share, one)
            self._queue_seconds.set(self._room.total / self._rate)
            self._wake()

    def _wake(self) -> None:
        """Let idle workers take what waits: no more of them than batches, as a single one can use all cores."""
        waiting = self._room.total
        while self._idle[0] and waiting > 0:
            self._submit(self._idle[0].pop())
            waiting -= round(self._batch_samples)

    def _forget(self, call: Call) -> None:
        """Remove the remaining pieces of a finished, failed or cancelled call."""
        call.give_up()
        with self._lock:
            self._calls.discard(call)
            if call.waiting:
                self._queue.drop(call.share, lambda one: one.call is call)
                self._room.remove(call.share, call.waiting)
                call.waiting = 0
                self._queue_seconds.set(self._room.total / self._rate)

    def _submit(self, worker: Worker) -> None:
        worker.submit(partial(self._step, worker, time.perf_counter()))

    def _step(self, worker: Worker, since: float) -> None:
        """Compute one batch, and submit the next behind the batches of other models on this thread."""
        if taken := self._take(worker):
            self._run(worker, taken, since)
            self._submit(worker)

    def _longer_step(self, worker: Worker, thread: int, taken: Sequence[Queued], since: float) -> None:
        """Compute one long piece on a thread for such."""
        self._run(worker, taken, since)
        with self._lock:
            self._idle[thread].append(worker)
            self._wake()

    def _take(self, worker: Worker) -> list[Queued]:
        """Take the next batch of this worker out of the queue, and hand on what is longer; without any, it is idle."""
        with self._lock:
            while taken := self._queue.take(worker.budget, self._has_thread):
                self._num_passes += 1
                for call, piece in taken:
                    self._room.remove(call.share, piece.size)
                    call.waiting -= piece.size
                self._queue_seconds.set(self._room.total / self._rate)
                self._note_begin(taken)
                if not (thread := self._thread_for(taken[0])):
                    return taken
                other = self._idle[thread].pop()
                other.submit(partial(self._longer_step, other, thread, taken, time.perf_counter()), thread)
            if self._workers:  # it is not closed
                self._idle[0].append(worker)
            return []

    def _thread_for(self, one: Queued) -> int:
        """Return the number of the thread for a piece: 0 up to a batch, 1 up to `TIMES_LONGER` batches, and so on."""
        times = one.size / self._batch_samples
        return 0 if times <= 1 else min(len(self._idle) - 1, math.ceil(math.log(times, TIMES_LONGER)))

    def _has_thread(self, one: Queued) -> bool:
        thread = self._thread_for(one)
        return not thread or bool(self._idle[thread])

    def _note_begin(self, taken: Sequence[Queued]) -> None:
        now = time.perf_counter()
        for call in {one.call for one in taken}:
            if not call.has_begun:
                call.has_begun = True
                self._queue_time.observe(now - call.since)

    def _run(self, worker: Worker, taken: Sequence[Queued], since: float) -> None:
        """Compute a batch."""
        try:
            self._compute(worker, [one.piece for one in taken])
            worker.note(sum(one.size for one in taken) / self._rate, time.perf_counter() - since)
        except Exception:
            logger.exception("%s lost a batch", self._name)
        finally:
            with self._lock:
                self._num_passes -= 1

    def _compute(self, worker: Worker, pieces: Sequence[Piece]) -> None:
        size = sum(piece.size for piece in pieces if not piece.recording.is_over)
        if not size:
            return
        with self._lock:
            is_alone = self._num_passes == 1 and not len(self._queue)
        start = time.perf_counter()
        compute(partial(worker.forward, is_alone=is_alone), pieces, explain=self._explain)
        self._forward_time.observe(time.perf_counter() - start)
        self._batch_fill.observe(min(1.0, size / worker.budget))

    def _explain(self, error: Exception) -> ApiError:
        """Log an error of the model; callers get an internal error without details."""
        logger.error("%s failed on a recording", self._name, exc_info=error)
        return INTERNAL.copy()

    async def close(self, reason: ApiError, *, seconds: float) -> None:
        """Refuse new work with `reason`, and fail calls with it that are not done within `seconds`."""
        with self._lock:
            self._closed = reason
        running = [call.future for call in self._calls]
        if running:
            await asyncio.wait(running, timeout=seconds)
        for call in list(self._calls):
            call.fail(reason.copy())
            self._forget(call)
        for thread in range(len(self._idle)):
            for worker in self._workers:  # wait for its current batch
                await asyncio.wrap_future(worker.submit(lambda: None, thread))
        self._measuring.shutdown(wait=False, cancel_futures=True)
        self._workers.clear()
        self._idle = [[] for _ in self._idle]
        del self._backbone

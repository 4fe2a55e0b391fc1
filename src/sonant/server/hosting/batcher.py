"""The queue before one model: many callers' recordings in, full batches out, each result back to its caller."""

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from sonant.audio import Windowing
from sonant.errors import TooShortAudio
from sonant.extraction.heads import HeadTask
from sonant.extraction.sources import AudioSource
from sonant.server.errors import INTERNAL, ApiError
from sonant.server.hosting.admission import Admission
from sonant.server.hosting.devices import Worker, thread_beside
from sonant.server.hosting.fairness import FairQueue
from sonant.server.hosting.orders import Order, Piece, Recording, by_order
from sonant.server.metrics import Metrics
from sonant.server.settings import Queue

logger = logging.getLogger(__name__)

TURNS_A_BATCH = 16  # so that as many shares can have a part of one
LEAST_BATCHES = 2  # that may always wait, however slow the model is


@dataclass(frozen=True)
class QueueStats:
    """The state of a queue.

    Attributes:
        queue_seconds: seconds of audio that waits.
        capacity_seconds: seconds of audio that may wait.
        waiting_requests: number of requests that have no result yet.
        audio_seconds_per_second: throughput while there is work; None before anything was measured.
    """

    queue_seconds: float
    capacity_seconds: float
    waiting_requests: int
    audio_seconds_per_second: float | None


class Batcher:
    """One queue, and a worker for each lane of the devices, which empty it.

    A batch is made of what waits at the moment when a device is free: a lone request is computed at once, and batches
    fill by themselves while the one before is computed.

    Args:
        workers: the model in each lane.
        windowing: how long recordings are cut.
        settings: of the queue.
        name: of the model, for messages and metrics.
    """

    def __init__(
        self, workers: Sequence[Worker], windowing: Windowing, settings: Queue, name: str, metrics: Metrics
    ) -> None:
        self._workers, self._idle = list(workers), list(workers)
        self._backbone = workers[0].backbone
        self._rate = self._backbone.sampling_rate
        self._windowing, self._settings, self._name = windowing, settings, name
        self._batch_samples = min(worker.budget for worker in workers)
        self._queue: FairQueue[Piece] = FairQueue(round(self._batch_samples / TURNS_A_BATCH))
        self._admission = Admission()
        self._orders: set[Order] = set()
        self._closed: ApiError | None = None
        self._lock = threading.Lock()
        self._looking = thread_beside("sonant-survey")
        self._queue_seconds = metrics.queue_seconds.labels(name)
        self._batch_fill = metrics.batch_fill.labels(name)
        self._queue_time = metrics.stage_seconds.labels("queue", name)
        self._forward_time = metrics.stage_seconds.labels("forward", name)

    @property
    def stats(self) -> QueueStats:
        """The state of the queue now."""
        with self._lock:
            waiting = self._admission.total
        return QueueStats(waiting / self._rate, self._capacity, len(self._orders), self._speed)

    @property
    def _speed(self) -> float | None:
        """Seconds of audio a second, on all devices."""
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
        """Refuse early what would be refused later; 0 asks whether there is any room. Raises ApiError as `run` does."""
        with self._lock:
            self._check_room(max(1, samples), share)

    def _check_room(self, samples: int, share: str | None) -> None:
        if self._closed is not None:
            raise self._closed.anew()
        excess = self._admission.excess(samples, self._capacity * self._rate, share)
        if excess > 0:
            speed = self._speed or 1.0
            raise ApiError(
                429,
                "server_is_overloaded",
                f"{self._name} has {self._admission.total / self._rate:.0f} s of audio waiting, and "
                f"{samples / self._rate:.1f} s more do not fit into its queue of {self._capacity:.0f} s, of which one "
                "key may fill three quarters. Try again later, or send less at a time.",
                retry_after=excess / self._rate / speed,
            )

    async def run(
        self,
        waveforms: Sequence[np.ndarray],
        task: HeadTask,
        *,
        share: str,
    ) -> list[Any]:
        """Return what the task's sinks make of the hidden states of each recording; cancelling drops the work.

        Args:
            waveforms: float32 (samples,) each, at the model's rate.
            task: which states are wanted, and who takes them in.
            share: for whose turn it waits.

        Raises:
            TooShortAudio: one holds no frame.
            ApiError: 429 `server_is_overloaded`; 503 once the queue is closed; 500 where the model fails.
            Exception: whatever a sink raises.
        """
        for waveform in waveforms:
            if len(waveform) < task.min_samples:
                raise TooShortAudio(
                    f"A recording of {len(waveform)} samples is too short for {self._name}, which takes in "
                    f"{task.min_samples} ({task.min_samples / self._rate:.3f} s) at least."
                )
        if not waveforms:
            return []
        order = Order(share, len(waveforms))
        recordings = [self._recording(order, number, waveform, task) for number, waveform in enumerate(waveforms)]
        pieces = [piece for recording in recordings for piece in recording.pieces()]
        samples = sum(piece.size for piece in pieces)
        with self._lock:
            self._check_room(samples, share)
            self._admission.add(share, samples)
            order.waiting = samples
            self._orders.add(order)
        try:
            long = [recording for recording in recordings if recording.windows is not None]
            if long and self._backbone.clip_statistics() is not None:
                self._looking.submit(self._look, order, long, pieces)
            else:
                self._put(order, pieces)
            del recordings, long, pieces, waveforms
            return await order.future
        finally:
            self._forget(order)

    def _recording(self, order: Order, number: int, waveform: np.ndarray, task: HeadTask) -> Recording:
        sink = task.make_sink(AudioSource(waveform, self._rate, task.min_samples))
        is_long = len(waveform) > self._settings.window_seconds * self._rate
        return Recording(order, number, waveform, task.layers, sink, self._windowing if is_long else None)

    def _look(self, order: Order, recordings: Sequence[Recording], pieces: Sequence[Piece]) -> None:
        try:
            for recording in recordings:
                if order.is_over:
                    return
                recording.gather_statistics(self._backbone)
            self._put(order, pieces)
        except Exception as error:  # noqa: BLE001 - it belongs to the caller, not to this thread
            order.fail(error)

    def _put(self, order: Order, pieces: Sequence[Piece]) -> None:
        with self._lock:
            if order.is_over:
                return
            for piece in pieces:
                self._queue.put(order.share, piece)
            self._queue_seconds.set(self._admission.total / self._rate)
            waiting = self._admission.total
            while self._idle and waiting > 0:  # no more of them than find a batch: a worker alone has all cores
                self._submit(self._idle.pop())
                waiting -= round(self._batch_samples)

    def _forget(self, order: Order) -> None:
        """Remove from the queue what is left of an order that is over, however it ended."""
        order.give_up()
        with self._lock:
            self._orders.discard(order)
            if order.waiting:
                self._queue.drop(order.share, lambda piece: piece.order is order)
                self._admission.remove(order.share, order.waiting)
                order.waiting = 0
                self._queue_seconds.set(self._admission.total / self._rate)

    def _submit(self, worker: Worker) -> None:
        worker.submit(partial(self._step, worker, time.perf_counter()))

    def _step(self, worker: Worker, since: float) -> None:
        """Compute one batch in the worker's lane, and the next once the other models there had their turn."""
        try:
            self._batch(worker, since)
        except Exception:
            logger.exception("%s lost a batch", self._name)
        finally:
            with self._lock:
                if len(self._queue):
                    self._submit(worker)
                else:
                    self._idle.append(worker)

    def _batch(self, worker: Worker, since: float) -> None:
        pieces = self._take(worker)
        if pieces:
            self._compute(worker, pieces)
            worker.note(sum(piece.size for piece in pieces) / self._rate, time.perf_counter() - since)

    def _take(self, worker: Worker) -> list[Piece]:
        """Take the next batch, which no longer counts as waiting."""
        with self._lock:
            pieces = self._queue.take(worker.budget)
            for piece in pieces:
                self._admission.remove(piece.order.share, piece.size)
                piece.order.waiting -= piece.size
            self._queue_seconds.set(self._admission.total / self._rate)
        now = time.perf_counter()
        for piece in pieces:
            if not piece.order.has_begun:
                piece.order.has_begun = True
                self._queue_time.observe(now - piece.order.since)
        return pieces

    def _compute(self, worker: Worker, pieces: Sequence[Piece]) -> None:
        """Compute a batch; if it fails, compute each order in it alone, so that an error goes to its own caller."""
        try:
            self._pass(worker, pieces)
        except Exception:
            undone = list(by_order([piece for piece in pieces if not piece.is_done]))
            if len(undone) > 1:
                for own in undone:
                    self._compute(worker, own)
                return
            logger.exception("%s failed on a batch", self._name)
            for own in undone:
                own[0].order.fail(INTERNAL.anew())

    def _pass(self, worker: Worker, pieces: Sequence[Piece]) -> None:
        statistics = pieces[0].statistics
        wanted = [(piece, clip) for piece in pieces if (clip := piece.clip()) is not None]
        if not wanted:
            return
        with self._lock:
            is_alone = len(self._idle) == len(self._workers) - 1 and not len(self._queue)
        start = time.perf_counter()
        states = worker.forward([clip for _, clip in wanted], statistics, is_alone=is_alone)
        for (piece, _), own in zip(wanted, states, strict=True):
            piece.take_in(own)
        self._forward_time.observe(time.perf_counter() - start)
        self._batch_fill.observe(min(1.0, sum(len(clip.samples) for _, clip in wanted) / worker.budget))

    async def close(self, reason: ApiError, *, seconds: float) -> None:
        """Refuse new work with `reason`, finish what is there within so many seconds, and refuse the rest too."""
        with self._lock:
            self._closed = reason
        running = [order.future for order in self._orders]
        if running:
            await asyncio.wait(running, timeout=seconds)
        for order in list(self._orders):
            order.fail(reason.anew())
            self._forget(order)
        for worker in self._workers:  # the batch that it is at
            await asyncio.wrap_future(worker.submit(lambda: None))
        self._looking.shutdown(wait=False, cancel_futures=True)
        self._workers.clear()
        self._idle.clear()
        del self._backbone

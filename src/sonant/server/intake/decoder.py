"""Decoding of untrusted recordings in a pool of processes."""

import asyncio
import logging
import time
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from sonant.audio import Channel
from sonant.server.errors import ApiError
from sonant.server.intake.process import Decoded, ProcessLost, WorkerProcess
from sonant.server.intake.worker import Bounds
from sonant.server.settings import MIB, Limits

logger = logging.getLogger(__name__)

T = TypeVar("T")

SMALLEST_SHARE = MIB // 16  # bytes that a waiting recording counts as at least, to bound their number
RESTART_SECONDS = 1.0


class AudioDecoder:
    """Pool of `workers` decoding processes, first come, first served.

    A process that crashes or exceeds a limit is replaced, and only its recording fails. A cancelled caller leaves the
    queue; a recording that is being decoded is finished, which costs less than a new process.
    """

    def __init__(self, limits: Limits, *, workers: int) -> None:
        self._limits = limits
        self._num_workers = workers
        self._bounds = Bounds(
            seconds=limits.decode_seconds,
            audio_bytes=limits.audio_bytes,
            audio_seconds=limits.audio_seconds,
            decoded_bytes=limits.decoded_bytes,
            total_seconds=limits.request_seconds,
        )
        self._idle: list[WorkerProcess] = []
        self._turns = asyncio.Semaphore(0)  # counts idle processes; wakes waiters in order
        self._tasks: set[asyncio.Task[Any]] = set()
        self._waiting = self._waiting_bytes = 0
        self._mean_seconds = 0.01
        self._is_open = False

    async def __aenter__(self) -> Self:
        self._turns = asyncio.Semaphore(0)
        started = await asyncio.gather(*(self._started() for _ in range(self._num_workers)), return_exceptions=True)
        for worker in started:
            if isinstance(worker, WorkerProcess):
                self._release(worker)
        self._is_open = True
        for failure in started:
            if isinstance(failure, BaseException):
                await self.__aexit__(type(failure), failure, None)
                raise failure
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_open = False
        self._turns.release()  # the waiting task ends and wakes the next
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in self._idle))
        self._idle.clear()

    async def decode(self, data: bytes, *, sampling_rate: int, min_samples: int, channel: Channel = "mix") -> Decoded:
        """Decode a recording in any format to float32 at `sampling_rate`, as `audio.read` does.

        Raises AudioError: invalid audio. ApiError: 413 too large; 429 queue full; 400 timeout; 503 while stopping.
        """
        if len(data) > self._limits.audio_bytes:
            raise ApiError(
                413,
                "audio_too_large",
                f"a recording of {len(data)} bytes: at most {self._limits.audio_bytes} are taken. Send it compressed "
                "(FLAC, Opus), or in parts.",
            )
        worker = await self._turn(max(len(data), SMALLEST_SHARE))
        return await asyncio.shield(self._spawn(self._exchange(worker, data, sampling_rate, min_samples, channel)))

    async def _turn(self, share: int) -> WorkerProcess:
        """Wait for an idle process."""
        self._check_open()
        if self._waiting and self._waiting_bytes + share > self._limits.in_flight_bytes:
            raise ApiError(
                429,
                "server_is_overloaded",
                f"{self._waiting} recordings wait to be decoded, as many as this server holds. Try again a little "
                "later.",
                retry_after=self._waiting * self._mean_seconds / self._num_workers,
            )
        self._waiting, self._waiting_bytes = self._waiting + 1, self._waiting_bytes + share
        try:
            await self._turns.acquire()
        finally:
            self._waiting, self._waiting_bytes = self._waiting - 1, self._waiting_bytes - share
        try:
            self._check_open()
        except ApiError:
            self._turns.release()  # wakes the next waiter, which raises too
            raise
        return self._idle.pop()

    def _check_open(self) -> None:
        if not self._is_open:
            raise _stopping()

    async def _exchange(
        self, worker: WorkerProcess, data: bytes, sampling_rate: int, min_samples: int, channel: Channel
    ) -> Decoded:
        """Decode in a process, then release or replace it."""
        begin = time.monotonic()
        try:
            try:
                return await worker.decode(data, sampling_rate=sampling_rate, min_samples=min_samples, channel=channel)
            except ProcessLost:  # it was killed while idle
                worker = await self._replaced(worker)
                return await worker.decode(data, sampling_rate=sampling_rate, min_samples=min_samples, channel=channel)
        except asyncio.CancelledError:  # only `__aexit__` cancels this task
            raise _stopping() from None
        finally:
            self._mean_seconds += 0.05 * (time.monotonic() - begin - self._mean_seconds)
            if worker.is_usable or not self._is_open:
                self._release(worker)
            else:
                self._spawn(self._release_replaced(worker))  # the caller does not wait for it

    async def _release_replaced(self, broken: WorkerProcess) -> None:
        self._release(await self._replaced(broken))

    async def _replaced(self, broken: WorkerProcess) -> WorkerProcess:
        """Start a process in place of a lost one, with retries."""
        await broken.stop()
        while True:
            try:
                return await self._started()
            except (ProcessLost, OSError):
                logger.exception("a decoding process is missing; it will be started again")
                await asyncio.sleep(RESTART_SECONDS)

    async def _started(self) -> WorkerProcess:
        worker = WorkerProcess(self._bounds)
        try:
            await worker.ready()
        except BaseException:
            await worker.stop()
            raise
        return worker

    def _release(self, worker: WorkerProcess) -> None:
        self._idle.append(worker)
        self._turns.release()

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task that outlives its request."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._settle)
        return task

    def _settle(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as retrieved, if the caller was cancelled


def _stopping() -> ApiError:
    return ApiError(503, "server_is_draining", "The server is stopping. Try again in a minute.", retry_after=30.0)

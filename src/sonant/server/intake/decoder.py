"""Decoding of untrusted recordings in a pool of processes, in fair turns."""

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from sonant.audio import Channel
from sonant.errors import UndecodableAudio
from sonant.server.errors import ApiError, overloaded
from sonant.server.intake.process import Admit, Decoded, Incoming, ProcessLost, WorkerProcess
from sonant.server.intake.worker import Bounds
from sonant.server.settings import Limits
from sonant.server.sharing.lines import Lines
from sonant.server.sharing.turns import FairTurns

logger = logging.getLogger(__name__)

MORE_PROCESSES = 6  # beyond the number of workers, for recordings that are between two turns
RESTART_SECONDS = 1.0
TRIES = 4  # of a recording with processes that are found dead


class AudioDecoder:
    """Pool of decoding processes, of which `workers` compute at a time.

    A recording is decoded in turns, which go round by share, so that a short one of another is decoded between two
    turns of a long one. Meanwhile the process of the long one keeps it: there are up to `MORE_PROCESSES` more processes
    than workers. A share has one recording more than there are workers under way at most.

    A process that crashes or exceeds a limit is replaced, and only its recording fails. A cancelled caller leaves the
    line; a recording of its that is being decoded is dropped at the end of its turn.
    """

    def __init__(self, limits: Limits, *, workers: int) -> None:
        self._limits = limits
        self._num_workers = workers
        self._bounds = Bounds(
            seconds=limits.decode_seconds,
            audio_bytes=limits.audio_bytes,
            audio_seconds=limits.audio_seconds,
            decoded_bytes=limits.decoded_bytes,
        )
        self._turns = FairTurns(workers)
        self._lines = Lines(workers + 1)
        self._processes: set[WorkerProcess] = set()
        self._num_starting = 0
        self._idle: list[WorkerProcess] = []
        self._waiting: deque[asyncio.Future[WorkerProcess]] = deque()  # for a process
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_open = False

    async def __aenter__(self) -> Self:
        self._is_open = True
        started = await asyncio.gather(*(self._started() for _ in range(self._num_workers)), return_exceptions=True)
        for worker in started:
            if isinstance(worker, WorkerProcess):
                self._release(worker)
        for failure in started:
            if isinstance(failure, BaseException):
                await self.__aexit__(type(failure), failure, None)
                raise failure
        self._spawn(self._refill())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_open = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for future in self._waiting:
            if not future.done():
                future.set_exception(_stopping())
        await asyncio.gather(*(worker.stop() for worker in list(self._processes)))  # which ends all turns
        self._processes.clear()
        self._idle.clear()

    async def decode(
        self,
        data: bytes,
        *,
        share: str,
        sampling_rate: int,
        min_samples: int,
        channel: Channel = "mix",
        admit: Admit = lambda _channels, _samples: None,
    ) -> Decoded:
        """Decode a recording in any format to float32 at `sampling_rate`, as `audio.read` does.

        Args:
            share: whose turns are used.
            admit: called with numbers of channels and samples before these are decoded, by the header of the recording,
                and of what goes beyond it as it comes.

        Raises AudioError: invalid audio. ApiError: 413 too large; 400 timeout; 503 while stopping; those of `admit`.
        """
        if len(data) > self._limits.audio_bytes:
            raise ApiError(
                413,
                "audio_too_large",
                f"a recording of {len(data)} bytes: at most {self._limits.audio_bytes} are taken. Send it compressed "
                "(FLAC, Opus), or in parts.",
            )
        incoming = Incoming(
            data,
            sampling_rate=sampling_rate,
            min_samples=min_samples,
            channel=channel,
            admit=admit,
            bounds=self._bounds,
        )
        async with self._lines.place(share):
            for _ in range(TRIES):
                try:
                    return await self._in_turns(incoming, share)
                except ProcessLost:  # it was killed while idle
                    continue
                except UndecodableAudio:
                    self._check_open()  # all processes were stopped
                    raise
        raise overloaded("its decoding processes are being started again")

    async def _in_turns(self, incoming: Incoming, share: str) -> Decoded:
        worker: WorkerProcess | None = None
        try:
            while True:
                async with self._turns.turn(share):
                    self._check_open()
                    if worker is None and self._idle:
                        worker = self._idle.pop()
                    if worker is not None:
                        decoded = await worker.turn(incoming)
                        if decoded is not None:
                            return decoded
                if worker is None:
                    worker = await self._another()
        finally:
            if worker is not None:
                worker.drop()
                self._release(worker)

    async def _another(self) -> WorkerProcess:
        """Start one more process, or wait for one that another recording needs no longer."""
        self._check_open()
        if len(self._processes) + self._num_starting < self._num_workers + MORE_PROCESSES:
            try:
                return await self._started()
            except (ProcessLost, OSError) as error:
                logger.exception("a decoding process could not be started")
                raise overloaded("no further process can be started to decode recordings") from error
        future: asyncio.Future[WorkerProcess] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._release(future.result())
            raise

    def _check_open(self) -> None:
        if not self._is_open:
            raise _stopping()

    def _release(self, worker: WorkerProcess) -> None:
        """Hand a process to the next recording; stop a lost one, or one more than are usually needed."""
        if not self._is_open:
            return  # `__aexit__` stops it
        if worker.is_usable:
            while self._waiting:
                future = self._waiting.popleft()
                if not future.done():
                    future.set_result(worker)
                    return
            if len(self._idle) <= self._num_workers:
                self._idle.append(worker)
                return
        self._spawn(self._stop(worker))

    async def _stop(self, worker: WorkerProcess) -> None:
        await worker.stop()
        self._processes.discard(worker)
        await self._refill()

    async def _refill(self) -> None:
        """Start processes until there is one more than there are workers, with retries."""
        while len(self._processes) + self._num_starting <= self._num_workers:
            try:
                self._release(await self._started())
            except (ProcessLost, OSError):
                logger.exception("a decoding process is missing; it will be started again")
                await asyncio.sleep(RESTART_SECONDS)

    async def _started(self) -> WorkerProcess:
        self._num_starting += 1
        try:
            worker = WorkerProcess(self._bounds)
            try:
                await worker.ready()
            except BaseException:
                await worker.stop()
                raise
            self._processes.add(worker)
            return worker
        finally:
            self._num_starting -= 1

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a task that outlives its request."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _stopping() -> ApiError:
    return ApiError(503, "server_is_draining", "The server is stopping. Try again in a minute.", retry_after=30.0)

"""Recordings of one call of the queue, and the future of their results."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from sonant.extraction.in_progress import Piece, RecordingInProgress


class Call:
    """Recordings of one call, and the future of their results in the caller's event loop.

    Attributes:
        share: whose turns in the fair queue are used.
        recordings: in progress; each calls `ended`.
        future: results in the order of the recordings.
        since: time of the call, by `time.perf_counter`.
        waiting: samples whose computation has not started.
        is_over: done, failed or cancelled.
    """

    def __init__(self, share: str) -> None:
        self.share = share
        self.recordings: list[RecordingInProgress] = []
        self.since = time.perf_counter()
        self.waiting = self._num_done = 0
        self.is_over = self.has_begun = False
        self._lock = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[list[Any]] = self._loop.create_future()

    def ended(self, recording: RecordingInProgress) -> None:
        """Note the end of a recording; the last one, or the first that failed, ends the call."""
        if recording.error is not None:
            self.fail(recording.error)
            return
        with self._lock:
            self._num_done += 1
            if self.is_over or self._num_done < len(self.recordings):
                return
            self.is_over = True
            results = [done.value for done in self.recordings]
        self._tell(lambda: self.future.set_result(results))

    def fail(self, error: BaseException) -> None:
        """End the call with an error, unless it is over."""
        if self.give_up():
            self._tell(lambda: self.future.set_exception(error))

    def give_up(self) -> bool:
        """End the call without a result; return False if it was over already."""
        with self._lock:
            was_over, self.is_over = self.is_over, True
            recordings, self.recordings = self.recordings, []
        for recording in recordings:
            recording.cancel()
        return not was_over

    def _tell(self, settle: Callable[[], None]) -> None:
        def unless_gone() -> None:
            if not self.future.done():
                settle()

        with contextlib.suppress(RuntimeError):  # the caller's event loop is closed
            self._loop.call_soon_threadsafe(unless_gone)


class Queued(NamedTuple):
    """A piece in the queue, and its call."""

    call: Call
    piece: Piece

    @property
    def size(self) -> int:
        """Length in samples."""
        return self.piece.size

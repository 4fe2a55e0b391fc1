"""Calls: recordings that wait together, and the future of their results in the event loop of the caller."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from sonant.extraction.in_progress import Piece, RecordingInProgress


class Call:
    """The recordings of one call: its share of the queue, and its results, which are handed over in its event loop.

    Attributes:
        share: for whose turn it waits.
        recordings: those under way; each ends with `ended`.
        future: of the results, in the order of the recordings.
        since: when it was made, on `time.perf_counter`.
        waiting: samples that were admitted and have not begun to be computed.
        is_over: whether nobody waits for it any more: it is done, has failed or was given up.
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
        """Note that a recording is over; the last one, or the first that fails, ends the call."""
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
        """End the call without a result, unless it is over; return whether it was not."""
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

        with contextlib.suppress(RuntimeError):  # the loop is closed: there is nobody left to tell
            self._loop.call_soon_threadsafe(unless_gone)


class Queued(NamedTuple):
    """A piece in the queue, and the call that waits for it."""

    call: Call
    piece: Piece

    @property
    def size(self) -> int:
        """The length in samples."""
        return self.piece.size

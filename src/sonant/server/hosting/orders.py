"""Orders: the recordings of one call, cut into pieces that a forward pass can take in."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from sonant.audio import Window, Windowing
from sonant.errors import NonFiniteStates
from sonant.extraction.forward import Clip
from sonant.extraction.long_recordings import statistics_of
from sonant.extraction.request import Layer
from sonant.extraction.sinks import Sink, deliver
from sonant.models.backbone import Backbone
from sonant.models.normalization import RecordingStatistics

BLOCK_SECONDS = 30.0  # of a recording that are surveyed at a time: float64 copies of hours would be large


class Order:
    """One call: its share of the queue and its results, which are handed over in the loop that it was made in.

    Attributes:
        share: for whose turn it waits.
        results: of each recording, None until it is done.
        future: of the results.
        since: when it was made, on `time.perf_counter`.
        waiting: samples that were admitted and have not begun to be computed.
        is_over: whether nobody waits for it any more: it is done, has failed or was given up.
    """

    def __init__(self, share: str, num_recordings: int) -> None:
        self.share = share
        self.results: list[Any] = [None] * num_recordings
        self.since = time.perf_counter()
        self.waiting = 0
        self.is_over = self.has_begun = False
        self._left = num_recordings
        self._lock = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[list[Any]] = self._loop.create_future()

    def done(self, number: int, result: Any) -> None:
        """Set the result of a recording; the last one ends the order."""
        with self._lock:
            self.results[number] = result
            self._left -= 1
            is_last = self._left == 0 and not self.is_over
            self.is_over = self.is_over or is_last
        if is_last:
            self._tell(lambda: self.future.set_result(self.results))

    def fail(self, error: BaseException) -> None:
        """End the order with an error, unless it is over."""
        with self._lock:
            was_over, self.is_over = self.is_over, True
        if not was_over:
            self._tell(lambda: self.future.set_exception(error))

    def give_up(self) -> None:
        """End the order without a result: nobody waits for it."""
        with self._lock:
            self.is_over = True

    def _tell(self, settle: Callable[[], None]) -> None:
        def unless_gone() -> None:
            if not self.future.done():
                settle()

        with contextlib.suppress(RuntimeError):  # the loop is closed: there is nobody left to tell
            self._loop.call_soon_threadsafe(unless_gone)


class Recording:
    """One recording of an order: its samples until they are computed, and the sink that makes the result of its frames.

    Attributes:
        windows: what it is cut into; None where it goes in one piece, without `windowing`.
        statistics: of the whole recording, for windows; None where they need none.
    """

    def __init__(
        self,
        order: Order,
        number: int,
        samples: np.ndarray,
        layers: tuple[Layer, ...],
        sink: Sink,
        windowing: Windowing | None,
    ) -> None:
        self.order, self.number = order, number
        self.layers = layers
        self.windows = None if windowing is None else windowing.windows(len(samples))
        self.statistics: RecordingStatistics | None = None
        self._samples: np.ndarray | None = samples
        self._sink: Sink | None = sink
        self._lock = threading.Lock()
        self._early: dict[
            int, Tensor | NonFiniteStates
        ] = {}  # windows whose predecessors another device still computes
        self._next = 0

    @property
    def num_pieces(self) -> int:
        return 1 if self.windows is None else len(self.windows)

    def gather_statistics(self, backbone: Backbone) -> None:
        """Gather what must be known of the whole recording before its windows are computed."""
        samples = self._samples
        if samples is None:  # given up meanwhile
            return
        block = round(BLOCK_SECONDS * backbone.sampling_rate)
        self.statistics = statistics_of(
            backbone, lambda: (samples[start : start + block] for start in range(0, len(samples), block))
        )

    def pieces(self) -> "list[Piece]":
        """Return the pieces that a pass can take in, in order."""
        if self.windows is None:
            assert self._samples is not None
            return [Piece(self, 0, len(self._samples), None)]
        return [
            Piece(self, index, window.end_sample - window.start_sample, window)
            for index, window in enumerate(self.windows)
        ]

    def clip(self, window: Window | None) -> Clip | None:
        """Return the samples of a piece; None if nobody waits for them any more."""
        samples = self._samples
        if samples is None or self.order.is_over:
            return None
        if window is not None:
            samples = samples[window.start_sample : window.end_sample]
        return Clip(samples, self.layers)

    def take_in(self, index: int, states: Tensor | NonFiniteStates) -> None:
        """Take in the states (layers, frames, dim) of a piece, or why there are none; the last make the result."""
        with self._lock:
            if self._sink is None or self.order.is_over:
                self.release()
                return
            try:
                result = self._result(self._sink, index, states)
            except Exception as error:  # noqa: BLE001 - it is this recording's; the others of the batch go on
                self.release()
                self.order.fail(error)
                return
            if self._next == self.num_pieces:
                self.release()
                self.order.done(self.number, result)

    def _result(self, sink: Sink, index: int, states: Tensor | NonFiniteStates) -> Any:
        """Pass states on to the sink in order; return the result once they are complete."""
        self._early[index] = states
        while self._next in self._early:
            window = None if self.windows is None else self.windows[self._next]
            deliver(sink, self._early.pop(self._next), window)
            self._next += 1
        return sink.finish() if self._next == self.num_pieces else None

    def release(self) -> None:
        """Release everything large."""
        self._samples = self._sink = None
        self._early.clear()


class Piece:
    """A recording, or a window of it, that waits in the queue.

    Attributes:
        size: samples.
    """

    __slots__ = ("index", "is_done", "recording", "size", "window")

    def __init__(self, recording: Recording, index: int, size: int, window: Window | None) -> None:
        self.recording, self.index, self.size, self.window = recording, index, size, window
        self.is_done = False

    @property
    def order(self) -> Order:
        return self.recording.order

    @property
    def statistics(self) -> RecordingStatistics | None:
        """The statistics of the recording, which all pieces of a pass must share."""
        return self.recording.statistics

    @property
    def group(self) -> object:
        """The recording, if it has statistics of its own; None for pieces that may share a pass with others."""
        return None if self.statistics is None else self.recording

    def clip(self) -> Clip | None:
        """Return what goes into the pass; None if nobody waits for it any more."""
        return self.recording.clip(self.window)

    def take_in(self, states: Tensor | NonFiniteStates) -> None:
        """Take in the states from the pass."""
        self.is_done = True
        self.recording.take_in(self.index, states)


def by_order(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Group pieces by order."""
    for order in dict.fromkeys(piece.order for piece in pieces):
        yield [piece for piece in pieces if piece.order is order]

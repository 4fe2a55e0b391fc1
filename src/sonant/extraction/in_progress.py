"""A recording in progress: pieces to compute, and one result from their states, which arrive in any order."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sonant.audio import Window
from sonant.errors import AudioError, MissingExtra, NonFiniteStates
from sonant.extraction.forward import Clip
from sonant.extraction.request import Layer
from sonant.extraction.sinks import Pending, ResumableSink, Sink, deliver
from sonant.models.normalization import RecordingStatistics

UNUSABLE = (AudioError, MissingExtra, NonFiniteStates)  # errors of a single recording; others stop the job
States = Tensor | NonFiniteStates  # (layers, frames, dim), or the error in their place
Cut = Iterable[tuple[Window | None, np.ndarray]]


class RecordingInProgress:
    """A recording between its samples and the result of its sink.

    It is over after the sink's result, an error or cancellation, and then holds nothing large. Thread-safe.

    Args:
        cut: windows with their samples, in order; or (None, all samples).
        layers: states for the sink, in this order.
        sink: computes the result; windows that a resumable sink has are not computed again.
        gather: returns statistics of the whole recording, if its windows need them.
        on_end: called when the recording is over, unless it was cancelled.

    Attributes:
        statistics: the result of `gather`.
        value: the sink's result.
        error: the reason for a missing result.
        samples: samples read so far.
        frames: frames that the sink has received, in earlier runs too.
    """

    def __init__(
        self,
        cut: Cut,
        layers: tuple[Layer, ...],
        sink: Sink | None,
        *,
        gather: Callable[[], RecordingStatistics | None] | None = None,
        on_end: "Callable[[RecordingInProgress], None] | None" = None,
    ) -> None:
        self.layers = layers
        self.statistics: RecordingStatistics | None = None
        self.value: Any = None
        self.error: Exception | None = None
        self.is_over = False
        self.samples = self.frames = 0
        self._cut, self._gather, self._sink, self._on_end = cut, gather, sink, on_end
        self._next = sink.windows if isinstance(sink, ResumableSink) else 0  # number of the sink's next piece
        self._count: int | None = None  # number of pieces, known after the last
        self._early: dict[int, tuple[Window | None, States]] = {}  # pieces that wait for earlier ones
        self._device: torch.device | None = None  # of all states that the sink receives
        self._pending: Pending | None = None
        self._lock = Lock()

    @classmethod
    def unusable(cls, error: Exception) -> "RecordingInProgress":
        """Return a recording that is over, with an error."""
        recording = cls((), (), None)
        recording.fail(error)
        return recording

    def gather_statistics(self) -> None:
        """Gather the statistics of the whole recording. An error ends an unusable recording."""
        try:
            if self._gather is not None and not self.is_over:
                self.statistics = self._gather()
        except UNUSABLE as error:
            self.fail(error)

    def pieces(self) -> "Iterator[Piece]":
        """Yield the pieces to compute, in order, once. An error ends an unusable recording."""
        first, count = self._next, 0
        try:
            for window, samples in self._cut:
                if self.is_over:
                    return
                self.samples = len(samples) if window is None else window.end_sample
                if count >= first:
                    yield Piece(self, count, window, samples)
                elif window is not None:
                    self.frames += window.keep_frames
                count += 1
        except UNUSABLE as error:
            self.fail(error)
            return
        with self._lock:
            self._count = count
            self._advance()
        finish_pending([self])

    def take_in(self, piece: "Piece", states: States) -> None:
        """Add the states of a piece; after the last one, compute the result, unless it is left to `finish_pending`."""
        with self._lock:
            if not self.is_over:
                self._early[piece.number] = piece.window, states
                self._advance()

    def save(self) -> None:
        """Save the state of a resumable sink."""
        with self._lock:
            if isinstance(self._sink, ResumableSink):
                try:
                    self._sink.save(self._next)
                except Exception as error:  # noqa: BLE001 - reported to the waiting caller
                    self._end(error)

    def fail(self, error: Exception) -> None:
        """End with an error, unless it is over."""
        with self._lock:
            if not self.is_over:
                self._end(error)

    def take_pending(self) -> Pending | None:
        """Return what `finish_pending` is to compute, once."""
        with self._lock:
            pending, self._pending = self._pending, None
            return None if self.is_over else pending

    def complete(self, value: Any) -> None:
        """End with a result, unless it is over."""
        with self._lock:
            if not self.is_over:
                self.value = value
                self._end()

    def cancel(self) -> None:
        """End without a result; pieces that were not started are dropped."""
        self.is_over = True  # without the lock: `on_end` of a recording may cancel others

    def _advance(self) -> None:
        """Give the sink the next pieces in order; finish after the last."""
        if self._sink is None:  # it is over
            return
        try:
            while self._next in self._early:
                window, states = self._early.pop(self._next)
                if isinstance(states, Tensor):
                    self._device = self._device or states.device
                    states = states.to(self._device)
                self.frames += deliver(self._sink, states, window)
                self._next += 1
            if self._count is not None and self._next >= self._count:
                value, self._sink = self._sink.finish(), None
                if isinstance(value, Pending):
                    self._pending = value
                    return
                self.value = value
                self._end()
        except Exception as error:  # noqa: BLE001 - reported to the waiting caller
            self._end(error)

    def _end(self, error: Exception | None = None) -> None:
        sink, on_end = self._sink, self._on_end
        self.error, self.is_over = error, True
        self._cut, self._gather, self._sink, self._on_end, self.statistics = (), None, None, None, None
        self._pending = None
        self._early.clear()
        if error is not None and sink is not None:
            sink.abandon()
        if on_end is not None:
            on_end(self)


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """A whole recording or a window of one, to be computed.

    Attributes:
        number: index in the recording.
        window: None for a whole recording.
        samples: float32 (samples,).
    """

    recording: RecordingInProgress
    number: int
    window: Window | None
    samples: np.ndarray

    @property
    def size(self) -> int:
        """The length in samples."""
        return len(self.samples)

    @property
    def clip(self) -> Clip:
        """The input of a forward pass."""
        return Clip(self.samples, self.recording.layers, self.recording.statistics)


def finish_pending(recordings: Iterable[RecordingInProgress]) -> None:
    """Compute the pending results of recordings together; an error that one of them causes ends no other."""
    groups: dict[Any, list[tuple[RecordingInProgress, Any]]] = {}
    for recording in recordings:
        if (pending := recording.take_pending()) is not None:
            groups.setdefault(pending.compute, []).append((recording, pending.value))
    for compute, members in groups.items():
        _complete(compute, members)


def _complete(
    compute: Callable[[Sequence[Any]], Sequence[Any]], members: Sequence[tuple[RecordingInProgress, Any]]
) -> None:
    try:
        values = compute([value for _, value in members])
    except Exception as error:  # noqa: BLE001 - reported to the waiting caller
        if len(members) == 1:
            members[0][0].fail(error)
            return
    else:
        for (recording, _), value in zip(members, values, strict=True):
            recording.complete(value)
        return
    middle = len(members) // 2  # outside the except block, where memory of the failed call is free
    _complete(compute, members[:middle])
    _complete(compute, members[middle:])

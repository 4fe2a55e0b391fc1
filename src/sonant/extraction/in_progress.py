"""A recording under way: its pieces go out, and their states come back, in any order, to make one result."""

from collections.abc import Callable, Iterable, Iterator
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
from sonant.extraction.sinks import ResumableSink, Sink, deliver
from sonant.models.normalization import RecordingStatistics

UNUSABLE = (AudioError, MissingExtra, NonFiniteStates)  # what is wrong with one recording; all else stops the work
States = Tensor | NonFiniteStates  # (layers, frames, dim), or the reason why there are none
Cut = Iterable[tuple[Window | None, np.ndarray]]


class RecordingInProgress:
    """A recording between its samples and the result of its sink.

    It is over when the sink has made its result, when an error has ended it, or when it was cancelled; it then holds
    nothing large. Pieces may be taken in by several threads at once.

    Args:
        cut: the windows of the recording with their samples, in order; or all of its samples, without a window.
        layers: the states that the sink receives, in this order.
        sink: makes the result; windows that a resumable one has already are not computed again.
        gather: returns the statistics of the whole recording, if its windows need them.
        on_end: called when it is over, unless it was cancelled.

    Attributes:
        statistics: what `gather` has returned.
        value: the result of the sink.
        error: the reason why there is no result.
        samples: length of the recording, as far as it was read.
        frames: number of frames that the sink has received, in earlier runs too.
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
        self._next = sink.windows if isinstance(sink, ResumableSink) else 0  # number of the piece for the sink
        self._count: int | None = None  # of pieces, once the last is known
        self._early: dict[int, tuple[Window | None, States]] = {}  # pieces whose predecessors are still computed
        self._device: torch.device | None = None  # of the first states; the sink has all of them there
        self._lock = Lock()

    @classmethod
    def unusable(cls, error: Exception) -> "RecordingInProgress":
        """Return a recording that is over before it began, with an error."""
        recording = cls((), (), None)
        recording.fail(error)
        return recording

    def gather_statistics(self) -> None:
        """Gather the statistics that windows need, before the first is computed. An unusable recording ends."""
        try:
            if self._gather is not None and not self.is_over:
                self.statistics = self._gather()
        except UNUSABLE as error:
            self.fail(error)

    def pieces(self) -> "Iterator[Piece]":
        """Yield the pieces to be computed, in order; to be called once. An unusable recording ends with its error."""
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

    def take_in(self, piece: "Piece", states: States) -> None:
        """Take in the states of a piece; the last ones make the result."""
        with self._lock:
            if not self.is_over:
                self._early[piece.number] = piece.window, states
                self._advance()

    def save(self) -> None:
        """Let a resumable sink save what it has received."""
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

    def cancel(self) -> None:
        """End without a result, as nobody waits for it: pieces that are not being computed will not be."""
        self.is_over = True  # without the lock, as a recording that ends may cancel others

    def _advance(self) -> None:
        """Deliver what is next in order, and finish after the last piece."""
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
                self.value = self._sink.finish()
                self._end()
        except Exception as error:  # noqa: BLE001 - reported to the waiting caller
            self._end(error)

    def _end(self, error: Exception | None = None) -> None:
        sink, on_end = self._sink, self._on_end
        self.error, self.is_over = error, True
        self._cut, self._gather, self._sink, self._on_end, self.statistics = (), None, None, None, None
        self._early.clear()
        if error is not None and sink is not None:
            sink.abandon()
        if on_end is not None:
            on_end(self)


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """A recording, or a window of one, that is to be computed.

    Attributes:
        number: from 0, in its recording.
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
        """The samples and what the model is to make of them."""
        return Clip(self.samples, self.recording.layers, self.recording.statistics)

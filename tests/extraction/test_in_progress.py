"""Laws of a recording under way: order is restored, nothing is computed twice, and nothing is held in the end."""

import gc
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sonant.audio import Windowing
from sonant.errors import NonFiniteAudio, NonFiniteStates
from sonant.extraction.in_progress import RecordingInProgress
from sonant.extraction.long_recordings import cut_up

WINDOWING = Windowing(10, 4, stride=20, receptive_field=40)
SAMPLES = np.arange(2000, dtype=np.float32)


class Listing:
    """A sink that lists the first number of each frame; `windows` of them are there already."""

    def __init__(self, windows: int = 0) -> None:
        self.windows, self.frames, self.saved, self.abandoned = windows, [], [], False

    def append(self, frames: torch.Tensor) -> None:
        self.frames += frames[0, :, 0].tolist()
        self.device = frames.device

    def save(self, windows: int) -> None:
        self.saved.append(windows)

    def finish(self) -> list[float]:
        return self.frames

    def abandon(self) -> None:
        self.abandoned = True


def states_of(piece) -> torch.Tensor:
    """A frame's state is its first sample."""
    return torch.from_numpy(piece.samples).unfold(0, 40, 20)[None, :, :1]


def recording(sink: Listing | None = None, **how) -> RecordingInProgress:
    return RecordingInProgress(cut_up(SAMPLES, WINDOWING), ("last",), sink or Listing(), **how)


@given(st.permutations(range(len(WINDOWING.windows(len(SAMPLES))))), st.integers(0, 20))
def test_states_that_come_in_any_order_reach_the_sink_in_their_own(order: list[int], done: int) -> None:
    """Windows of an earlier run are not computed again."""
    sink = Listing(windows=done)
    one = recording(sink)
    pieces = {piece.number: piece for piece in one.pieces()}
    assert list(pieces) == list(range(done, len(order)))
    for number in [number for number in order if number in pieces]:
        assert not one.is_over
        one.take_in(pieces[number], states_of(pieces[number]))
    kept = sum(window.keep_frames for window in WINDOWING.windows(len(SAMPLES))[:done])
    assert one.is_over
    assert one.value == [20.0 * frame for frame in range(kept, 99)]
    assert (one.frames, one.samples) == (99, 2000)


def test_it_ends_with_the_last_piece_though_others_come_after_its_states() -> None:
    """As with a file that is read while its windows are computed."""
    one, ends = recording(on_end=lambda ended: ends.append(ended.value)), []
    for piece in one.pieces():
        assert ends == []
        one.take_in(piece, states_of(piece))
    assert ends == [[20.0 * frame for frame in range(99)]]


def test_a_resumable_sink_saves_what_it_has_received() -> None:
    sink = Listing()
    one = recording(sink)
    first, second, third, *_ = one.pieces()
    for piece in (first, third):
        one.take_in(piece, states_of(piece))
    one.save()
    one.take_in(second, states_of(second))
    one.save()
    assert sink.saved == [1, 3]


@pytest.mark.parametrize("how", ["unreadable", "not finite", "refused"])
def test_an_error_ends_it_once_and_cleans_up(how: str) -> None:
    sink, ends = Listing(), []

    def broken() -> Iterator:
        yield from [*cut_up(SAMPLES, WINDOWING)][:2]
        raise NonFiniteAudio("a sample is infinite")

    one = RecordingInProgress(
        broken() if how == "unreadable" else cut_up(SAMPLES, WINDOWING), ("last",), sink, on_end=ends.append
    )
    if how == "refused":
        sink.append = None  # type: ignore[method-assign, assignment]
    for piece in one.pieces():
        one.take_in(piece, NonFiniteStates("infinite") if how == "not finite" else states_of(piece))
    one.fail(ValueError("what comes later"))
    expected = {"unreadable": NonFiniteAudio, "not finite": NonFiniteStates, "refused": TypeError}
    assert type(one.error) is expected[how]
    assert ends == [one]
    assert sink.abandoned


@pytest.mark.parametrize("end", ["done", "failed", "cancelled"])
def test_what_is_over_holds_nothing(end: str) -> None:
    samples = SAMPLES.copy()
    sink = Listing()
    one = RecordingInProgress(cut_up(samples, WINDOWING), ("last",), sink)
    held = weakref.ref(samples), weakref.ref(sink)
    pieces = list(one.pieces())
    if end == "failed":
        one.fail(ValueError("too bad"))
    if end == "cancelled":
        one.cancel()
        assert list(one.pieces()) == []
    while pieces:
        one.take_in(pieces[0], states_of(pieces.pop(0)))
    del samples, sink
    if end == "cancelled":
        del one
    gc.disable()
    try:
        assert [ref() for ref in held] == [None, None]
    finally:
        gc.enable()


def test_a_sink_has_all_states_on_one_device() -> None:
    """Windows may be computed on several, and sinks join what they keep of them."""
    sink = Listing()
    sink.append = lambda frames: sink.frames.append(frames.device.type)  # type: ignore[method-assign]
    one = recording(sink)
    for piece in one.pieces():
        one.take_in(piece, states_of(piece).to("meta" if piece.number == 0 else "cpu"))
    assert set(one.value) == {"meta"}

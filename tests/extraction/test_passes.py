"""Laws of passes: batches stay apart and in order, and an error ends no other recording than its own."""

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sonant.extraction.in_progress import RecordingInProgress
from sonant.extraction.passes import compute, planned
from sonant.extraction.sinks import Pending


class First:
    """A sink whose result is what came first."""

    def append(self, frames: torch.Tensor) -> None:
        self.frames = frames

    def finish(self) -> float:
        return float(self.frames)

    def abandon(self) -> None: ...


def recording(*sizes: int) -> RecordingInProgress:
    """Of pieces of so many samples."""
    samples = [(None, np.full(size, size, np.float32)) for size in sizes]
    return RecordingInProgress(samples, ("last",), First())


@given(st.lists(st.lists(st.lists(st.integers(1, 50), max_size=4), max_size=4), max_size=6), st.integers(1, 100))
def test_passes_hold_pieces_of_one_batch_in_order_and_no_more_than_there_is_room_for(
    sizes: list[list[list[int]]], room: int
) -> None:
    opened = []

    def batches() -> Iterator[list[RecordingInProgress]]:
        for number, batch in enumerate(sizes):
            opened.append(number)
            yield [recording(*pieces) for pieces in batch]

    taken = []
    ends = np.cumsum([sum(map(len, batch)) for batch in sizes])
    for pieces in planned(batches(), room):
        assert len(pieces) == 1 or sum(piece.size for piece in pieces) <= room
        before = sum(map(len, taken))
        taken.append([piece.size for piece in pieces])
        first, last = np.searchsorted(ends, [before, before + len(pieces) - 1], "right")
        assert first == last
        assert len(opened) == last + 1  # no batch before its turn
    assert list(chain(*taken)) == [size for batch in sizes for pieces in batch for size in pieces]


def test_an_error_of_the_model_ends_no_other_recording() -> None:
    recordings = [recording(3), recording(4, 4), recording(5), recording(6)]
    recordings[3].cancel()
    passes = []

    def forward(clips: Iterable) -> Iterator[torch.Tensor]:
        """One clip at a time; the first has come through when the second fails."""
        passes.append([len(clip.samples) for clip in clips])
        for clip in clips:
            if len(clip.samples) == 4:
                raise ValueError("what the model cannot stand")
            yield torch.tensor([[[clip.samples[0]]]])

    pieces = [piece for one in recordings[:3] for piece in one.pieces()]
    compute(forward, [*pieces, *recordings[3].pieces()], explain=lambda error: KeyError(str(error)))
    assert passes == [[3, 4, 4, 5], [4, 4], [5]]
    assert [one.value for one in recordings] == [3.0, None, 5.0, None]
    assert [type(one.error) for one in recordings] == [type(None), KeyError, type(None), type(None)]


def test_an_error_of_no_recording_is_not_swallowed() -> None:
    def forward(clips: Iterable) -> Iterator[torch.Tensor]:
        for _ in clips:
            yield torch.zeros(1, 1, 1)
        raise ValueError("after the last")

    with pytest.raises(ValueError, match="after the last"):
        compute(forward, list(recording(3).pieces()))


def test_pending_results_are_computed_together_and_an_error_ends_no_other_recording() -> None:
    calls: list[list[float]] = []

    class Deferred(First):
        def finish(self) -> Pending:  # type: ignore[override]
            return Pending(float(self.frames), halved)

    def halved(values: list[float]) -> list[float]:
        calls.append(values)
        if 5.0 in values:
            raise ValueError("what cannot be halved")
        return [value / 2 for value in values]

    def forward(clips: Iterable) -> Iterator[torch.Tensor]:
        return (torch.tensor([[[clip.samples[0]]]]) for clip in clips)

    def deferred(size: int) -> RecordingInProgress:
        return RecordingInProgress([(None, np.full(size, size, np.float32))], ("last",), Deferred())

    recordings = [deferred(3), recording(4), deferred(5), deferred(6)]
    compute(forward, [piece for one in recordings for piece in one.pieces()])
    assert calls == [[3.0, 5.0, 6.0], [3.0], [5.0, 6.0], [5.0], [6.0]]
    assert [one.value for one in recordings] == [1.5, 4.0, None, 3.0]
    assert [type(one.error) for one in recordings] == [type(None), type(None), ValueError, type(None)]
    late = deferred(8)  # whose states come before it is known to be the last piece
    for piece in late.pieces():
        compute(forward, [piece])
        assert not late.is_over
    assert late.value == 4.0

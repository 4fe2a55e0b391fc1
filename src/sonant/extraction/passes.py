"""Passes over pieces of recordings: which of them share one, and what becomes of their states and errors."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Protocol, TypeVar

from sonant.extraction.forward import Clip
from sonant.extraction.in_progress import Piece, RecordingInProgress, States
from sonant.inference.torch_modes import neutral_torch_modes

P_co = TypeVar("P_co", covariant=True)


class Scheduler(Protocol[P_co]):
    """A source of pieces that decides which of them share a pass."""

    def take(self, room: float) -> Sequence[P_co]:
        """Take the pieces of the next pass: at most `room` samples, or a single longer piece; none if none wait."""


class PlannedQueue:
    """The pieces of batches of recordings, batch after batch; those of two batches never share a pass.

    So the passes depend on the batches alone, however fast they are decoded and computed.
    """

    def __init__(self, batches: Iterable[Iterable[RecordingInProgress]]) -> None:
        self._batches = iter(batches)
        self._pieces: Iterator[Piece] = iter(())
        self._held: Piece | None = None  # the one that no longer fitted

    def take(self, room: float) -> list[Piece]:
        """Take the pieces of the next pass; waits until they are decoded."""
        while not (taken := self._take(room)):
            batch = next(self._batches, None)
            if batch is None:
                break
            self._pieces = chain.from_iterable(recording.pieces() for recording in batch)
        return taken

    def _take(self, room: float) -> list[Piece]:
        taken: list[Piece] = []
        for piece in chain([] if self._held is None else [self._held], self._pieces):
            self._held = piece
            if taken and piece.size > room:
                return taken
            taken.append(piece)
            room -= piece.size
        self._held = None
        return taken


def compute(
    forward: Callable[[Sequence[Clip]], Iterable[States]],
    pieces: Sequence[Piece],
    *,
    explain: Callable[[Exception], Exception] = lambda error: error,
) -> None:
    """Compute pieces in as few passes as memory allows, and hand their states to their recordings.

    If that fails, the pieces of each recording are computed alone, so that an error ends no other recording.

    Args:
        forward: yields the states of each clip, in order; see `Forward`.
        pieces: of any recordings; those of recordings that are over are left out.
        explain: from an error of `forward` to the one with which its recording ends.
    """
    wanted = [piece for piece in pieces if not piece.recording.is_over]
    done = 0
    try:
        with neutral_torch_modes():
            for states in forward([piece.clip for piece in wanted]):
                wanted[done].recording.take_in(wanted[done], states)
                done += 1
    except Exception as error:
        undone: dict[RecordingInProgress, list[Piece]] = {}
        for piece in wanted[done:]:
            undone.setdefault(piece.recording, []).append(piece)
        if not undone:
            raise
        for recording, own in undone.items():
            if len(undone) == 1:
                recording.fail(explain(error))
            else:
                compute(forward, own, explain=explain)
    for recording in dict.fromkeys(piece.recording for piece in wanted):
        recording.save()

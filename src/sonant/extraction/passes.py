"""Forward passes over pieces of recordings: grouping, delivery of states, errors."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from sonant.extraction.batching import within
from sonant.extraction.forward import Clip
from sonant.extraction.in_progress import Piece, RecordingInProgress, States, finish_pending
from sonant.inference.torch_modes import neutral_torch_modes


def planned(batches: Iterable[Iterable[RecordingInProgress]], room: float) -> Iterator[list[Piece]]:
    """Yield the pieces of each pass of a bulk job: at most `room` samples, or one longer piece.

    Pieces of two batches never share a pass, so the passes depend on the batches alone, not on timing.
    """
    for batch in batches:
        yield from within(chain.from_iterable(recording.pieces() for recording in batch), room)


def compute(
    forward: Callable[[Sequence[Clip]], Iterable[States]],
    pieces: Sequence[Piece],
    *,
    explain: Callable[[Exception], Exception] = lambda error: error,
) -> None:
    """Compute pieces in as few passes as memory allows, deliver their states, and finish recordings that are complete.

    On an error the pieces of each recording are computed separately, so that it ends no other recording.

    Args:
        forward: yields the states of each clip, in order; see `Forward`.
        pieces: of any recordings; those of recordings that are over are skipped.
        explain: maps an error of `forward` to the error of the recording.
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
    recordings = list(dict.fromkeys(piece.recording for piece in wanted))
    for recording in recordings:
        recording.save()
    with neutral_torch_modes():
        finish_pending(recordings)

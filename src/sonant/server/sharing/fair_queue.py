"""Fair queueing of shares (callers) by deficit round robin (Shreedhar and Varghese 1995), counted in samples.

Each turn adds `quantum` samples of credit to a share, which takes pieces out of its line while the credit covers them.
So busy shares get equal amounts of audio, and a share's delay does not depend on the length of the others' lines.
"""

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Waiting(Protocol):
    """An item of the queue."""

    @property
    def size(self) -> int:
        """Length in samples."""


W = TypeVar("W", bound=Waiting)


class _Line(Generic[W]):
    """Waiting pieces of one share, first in, first out."""

    def __init__(self) -> None:
        self.pieces: deque[W] = deque()
        self.credit = 0
        self.is_due = False  # its credit covers the first piece, which did not fit into the last batch


class FairQueue(Generic[W]):
    """Queue of pieces of several shares; not thread-safe.

    Args:
        quantum: credit of a turn, in samples.
    """

    def __init__(self, quantum: int) -> None:
        self.quantum = max(1, quantum)
        self._lines: dict[str, _Line[W]] = {}
        self._turns: deque[str] = deque()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, share: str, piece: W) -> None:
        """Append a piece to its share's line; a share without waiting pieces gets the last turn."""
        if share not in self._lines:
            self._lines[share] = _Line()
            self._turns.append(share)
        self._lines[share].pieces.append(piece)
        self._count += 1

    def take(self, room: float, may_take: Callable[[W], bool] = lambda _: True) -> list[W]:
        """Take the next batch: at most `room` samples, or one larger piece.

        A piece that its credit covers but that does not fit is the first of the next batch.

        Args:
            may_take: of the first piece of a line; if it is False, the line is passed over, and saves up credit for
                that piece alone.
        """
        batch: list[W] = []
        num_passed = 0  # lines since the last one whose first piece may be taken
        while num_passed < len(self._turns) and (room > 0 or not batch):
            share = self._turns.popleft()
            line = self._lines[share]
            line.credit += 0 if line.is_due else self.quantum
            if not may_take(first := line.pieces[0]):
                line.credit = min(line.credit, first.size)
                self._turns.append(share)
                num_passed += 1
                continue
            num_passed = 0
            while line.pieces and line.pieces[0].size <= line.credit and (line.pieces[0].size <= room or not batch):
                piece = line.pieces.popleft()
                line.credit -= piece.size
                room -= piece.size
                batch.append(piece)
            line.is_due = bool(line.pieces) and line.pieces[0].size <= line.credit
            if not line.pieces:
                del self._lines[share]
            elif line.is_due:
                self._turns.appendleft(share)
                break
            else:
                self._turns.append(share)
        self._count -= len(batch)
        return batch

    def drop(self, share: str, is_unwanted: Callable[[W], bool]) -> None:
        """Remove the unwanted pieces from a share's line."""
        line = self._lines.get(share)
        if line is None:
            return
        kept = deque(piece for piece in line.pieces if not is_unwanted(piece))
        self._count -= len(line.pieces) - len(kept)
        line.pieces = kept
        if not kept:
            del self._lines[share]
            self._turns.remove(share)

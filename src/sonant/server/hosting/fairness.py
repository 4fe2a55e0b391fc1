"""Fair queueing: deficit round robin (Shreedhar and Varghese 1995), counted in samples of audio.

Shares take turns. Each turn brings a share some credit, and what stands first in its line goes when the credit pays for
it. So shares that always have something waiting get equal amounts of audio through, however it is cut, and one whose
line is short waits for as many turns as its own audio needs, however long the lines of the others are.
"""

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Waiting(Protocol):
    """Something that a forward pass can take in."""

    @property
    def size(self) -> int:
        """The length in samples."""


W = TypeVar("W", bound=Waiting)


class _Line(Generic[W]):
    """The pieces of one share that wait, first come, first served."""

    def __init__(self) -> None:
        self.pieces: deque[W] = deque()
        self.credit = 0
        self.is_due = False  # its turn had come when the last batch was full


class FairQueue(Generic[W]):
    """Pieces of many shares; it is not safe to use from several threads at once.

    Args:
        quantum: samples that a turn is worth.
    """

    def __init__(self, quantum: int) -> None:
        self.quantum = max(1, quantum)
        self._lines: dict[str, _Line[W]] = {}
        self._turns: deque[str] = deque()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, share: str, piece: W) -> None:
        """Put a piece at the end of its share's line; a share that had nothing waiting gets its turn last."""
        if share not in self._lines:
            self._lines[share] = _Line()
            self._turns.append(share)
        self._lines[share].pieces.append(piece)
        self._count += 1

    def take(self, room: float) -> list[W]:
        """Take the pieces of the next batch: at most `room` samples, or a single piece that is larger.

        What is due but does not fit leads the next batch.
        """
        batch: list[W] = []
        while self._turns and (room > 0 or not batch):
            share = self._turns.popleft()
            line = self._lines[share]
            line.credit += 0 if line.is_due else self.quantum
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

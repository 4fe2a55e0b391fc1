"""Limited amounts that are shared in more than one way, such as slots by network and by account."""

from collections.abc import Sequence

from sonant.server.sharing.room import SharedRoom


class Budget:
    """A limited amount, each part of which has a holder in every way of sharing; it is taken once.

    Args:
        total: of the amount.
        ways: the number of ways of sharing, of which each is a `SharedRoom` as large as the whole.
    """

    def __init__(self, total: float, ways: int = 1) -> None:
        self.total = total
        self._rooms = tuple(SharedRoom() for _ in range(ways))

    @property
    def free(self) -> float:
        return self.total - self._rooms[0].total

    def fits(self, amount: int, holders: Sequence[str | None]) -> bool:
        """Return whether the holders may take an amount; None: one that holds nothing."""
        rooms = zip(self._rooms, holders, strict=True)
        return all(room.excess(amount, self.total, holder) == 0 for room, holder in rooms)

    def take(self, amount: int, holders: Sequence[str]) -> bool:
        """Take an amount for its holders; return False, and take nothing, if it does not fit."""
        if not self.fits(amount, holders):
            return False
        self.add(amount, holders)
        return True

    def add(self, amount: int, holders: Sequence[str]) -> None:
        """Take an amount for its holders, whether it fits or not."""
        for room, holder in zip(self._rooms, holders, strict=True):
            room.add(holder, amount)

    def give_back(self, amount: int, holders: Sequence[str]) -> None:
        for room, holder in zip(self._rooms, holders, strict=True):
            room.remove(holder, amount)

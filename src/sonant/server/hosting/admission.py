"""Admission to the queue: how much audio may wait, and how much of it for one share."""

SHARE_PART = 0.75  # of the queue that one share may fill, so that the others find it open


class Admission:
    """The number of samples that were admitted and have not begun to be computed, by share."""

    def __init__(self) -> None:
        self._waiting: dict[str, int] = {}

    @property
    def total(self) -> int:
        """The number of samples that wait."""
        return sum(self._waiting.values())

    def excess(self, samples: int, capacity: float, share: str | None = None) -> float:
        """Return how many samples must leave before `samples` more are admitted; 0 where they may come now.

        A request may be larger than the queue: it is admitted when its share has nothing waiting, and then counts for
        no more than the part of the queue that a share may fill, since fairness lets the others pass it.

        Args:
            capacity: samples that may wait.
            share: to which they belong; None: one that has nothing waiting.
        """
        limit = SHARE_PART * capacity
        own = 0 if share is None else self._waiting.get(share, 0)
        others = sum(min(waiting, limit) for name, waiting in self._waiting.items() if name != share)
        beyond_own = own + samples - limit if own else 0.0
        return max(0.0, beyond_own, others + min(own + samples, limit) - capacity)

    def add(self, share: str, samples: int) -> None:
        """Count samples that wait from now on."""
        self._waiting[share] = self._waiting.get(share, 0) + samples

    def remove(self, share: str, samples: int) -> None:
        """Subtract samples that wait no longer: their turn has come, or they were given up."""
        left = self._waiting.get(share, 0) - samples
        if left > 0:
            self._waiting[share] = left
        else:
            self._waiting.pop(share, None)

"""Limits on the audio waiting in a queue, in all and for each share."""

SHARE_PART = 0.75  # part of the queue that one share may fill


class Admission:
    """Number of waiting samples of each share, from admission until their computation starts."""

    def __init__(self) -> None:
        self._waiting: dict[str, int] = {}

    @property
    def total(self) -> int:
        """Number of waiting samples."""
        return sum(self._waiting.values())

    def excess(self, samples: int, capacity: float, share: str | None = None) -> float:
        """Return the number of samples that must leave the queue before `samples` can be admitted.

        A request larger than the queue is admitted if its share has nothing waiting. It counts as SHARE_PART of the
        capacity at most, since fair queueing lets other shares overtake it.

        Args:
            capacity: samples that may wait.
            share: of the new samples; None: one without waiting samples.
        """
        limit = SHARE_PART * capacity
        own = 0 if share is None else self._waiting.get(share, 0)
        others = sum(min(waiting, limit) for name, waiting in self._waiting.items() if name != share)
        beyond_own = own + samples - limit if own else 0.0
        return max(0.0, beyond_own, others + min(own + samples, limit) - capacity)

    def add(self, share: str, samples: int) -> None:
        """Count samples as waiting."""
        self._waiting[share] = self._waiting.get(share, 0) + samples

    def remove(self, share: str, samples: int) -> None:
        """Subtract samples that are computed now, or were dropped."""
        left = self._waiting.get(share, 0) - samples
        if left > 0:
            self._waiting[share] = left
        else:
            self._waiting.pop(share, None)

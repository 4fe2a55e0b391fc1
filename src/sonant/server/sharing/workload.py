"""Slots and bytes of the requests that are being received or processed, shared by network and by account."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf

from sonant.server.errors import ApiError, overloaded
from sonant.server.metrics import Metrics
from sonant.server.settings import Limits
from sonant.server.sharing.budget import Budget

PAGES = FORMS = 256  # requests to pages without and with a body
NEWCOMER = (None, None)
MUCH_BYTES = 64 << 20


class Workload:
    """The slots of requests, and the bytes of their bodies, their decoded recordings and the vectors of their answers.

    The API, the pages and their forms have slots of their own: requests to one take none of the others.

    Attributes:
        api: slots of requests to the API.
        pages: of other requests without a body.
        forms: of other requests with a body.
        polled: of requests of monitors, without number.
        bytes: that requests hold.
    """

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        slots = (limits.concurrent_requests, PAGES, FORMS, inf)
        self.api, self.pages, self.forms, self.polled = (Budget(number, ways=2) for number in slots)
        self.bytes = Budget(limits.in_flight_bytes, ways=2)
        self._gauge = metrics.in_flight_bytes
        self._peak_bytes = 0.0

    @property
    def num_running(self) -> int:
        """The number of running requests to the API."""
        return int(self.api.total - self.api.free)

    @property
    def has_room(self) -> bool:
        """True if the API would take a request of a new sender."""
        return self.api.fits(1, NEWCOMER) and self.bytes.fits(1, NEWCOMER)

    def note_bytes(self) -> None:
        """Update the metrics."""
        taken = self.bytes.total - self.bytes.free
        self._peak_bytes = max(self._peak_bytes, taken)
        self._gauge.set(taken)

    def has_freed_much(self) -> bool:
        """Return whether the bodies took much more memory since the last such call than they take now."""
        taken = self.bytes.total - self.bytes.free
        if self._peak_bytes - taken < MUCH_BYTES:
            return False
        self._peak_bytes = taken
        return True


class Share:
    """The slot and the bytes of one request, held by the network of its sender and, once it is known, its account.

    Args:
        slots: one of the attributes of the workload.
        network: of the sender.
        expected: the announced number of bytes of the body.
    """

    def __init__(self, workload: Workload, slots: Budget, network: str, expected: int) -> None:
        self._workload, self._slots, self._bytes, self._expected = workload, slots, workload.bytes, expected
        self._holders = (network, network)  # no account has the name of a network
        self._num_slots = self._num_bytes = 0

    def enter(self) -> ApiError | None:
        """Take a slot. Return the error if the sender has too many, or too much memory for this body besides."""
        if not self._bytes.fits(self._expected, self._holders):
            return no_memory(self._bytes)
        if not self._slots.take(1, self._holders):
            return no_slot(self._slots)
        self._num_slots = 1
        return None

    def identify(self, account: str) -> None:
        """Count the request for an account too. Raises ApiError 429: the account has too many slots or bytes."""
        before, self._holders = self._holders, (self._holders[0], account)
        self._slots.give_back(self._num_slots, before)
        self._bytes.give_back(self._num_bytes, before)
        may_have_slot = self._slots.fits(self._num_slots, (None, account))
        may_have_bytes = self._bytes.fits(max(self._expected, self._num_bytes), (None, account))
        self._slots.add(self._num_slots, self._holders)
        self._bytes.add(self._num_bytes, self._holders)
        if not may_have_slot:
            raise no_slot(self._slots)
        if not may_have_bytes:
            raise no_memory(self._bytes)

    def receive(self, num_bytes: int) -> ApiError | None:
        """Take memory for a part of the body; return the error if the sender has too much."""
        if not self._bytes.take(num_bytes, self._holders):
            return no_memory(self._bytes)
        self._num_bytes += num_bytes
        self._workload.note_bytes()
        return None

    def take(self, num_bytes: int) -> None:
        """Take memory for decoded audio or an answer. Raises ApiError 429: the sender has too much."""
        if (error := self.receive(num_bytes)) is not None:
            raise error

    @contextmanager
    def holding(self) -> Iterator[Callable[[int], None]]:
        """Give a function that takes memory until the block ends, and raises as `take` does."""
        held = 0

        def take(num_bytes: int) -> None:
            nonlocal held
            self.take(num_bytes)
            held += num_bytes

        try:
            yield take
        finally:
            self.keep(self._num_bytes - held)

    def keep(self, num_bytes: int) -> None:
        """Give back all but so many bytes."""
        surplus = max(0, self._num_bytes - num_bytes)
        self._bytes.give_back(surplus, self._holders)
        self._num_bytes -= surplus
        self._workload.note_bytes()

    def leave(self) -> None:
        """Give the slot and the bytes back."""
        self._slots.give_back(self._num_slots, self._holders)
        self.keep(0)


def no_slot(slots: Budget) -> ApiError:
    return overloaded(f"{slots.free:g} of {slots.total:g} slots for requests are free, and you have enough of them")


def no_memory(memory: Budget) -> ApiError:
    return overloaded(
        f"{memory.free:.0f} of {memory.total:.0f} bytes of memory for requests are free, and you have enough of them"
    )

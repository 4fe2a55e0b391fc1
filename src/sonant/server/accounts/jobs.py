"""Functions of a connection, waiting for their transaction."""

from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Job(Generic[T]):
    """A function to be run in a transaction, and the future of its result.

    Until the transaction has begun, `outcome.cancel()` prevents that it is run; from then on it runs to its end.
    """

    work: Callable[[Connection], T]
    outcome: "Future[T]" = field(default_factory=Future)

    def begin(self) -> bool:
        """Mark that the transaction has begun; False if the job was cancelled."""
        return self.outcome.set_running_or_notify_cancel()

    def fail(self, error: BaseException) -> None:
        """Set the error, unless the job was cancelled."""
        with suppress(InvalidStateError):
            self.outcome.set_exception(error)

"""Group commit: one thread writes, and writes that arrive during a commit share the next transaction."""

from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, Engine

T = TypeVar("T")
MOST_TOGETHER = 128  # writes in one transaction


class PendingWrite(NamedTuple):
    """A function that writes, and the future of its result."""

    work: Callable[[Connection], Any]
    outcome: "Future[Any]"


class GroupCommit:
    """Writes to SQLite with several functions in one transaction, since each commit waits for the disk.

    SQLite allows one writing transaction at a time. Each function has its own savepoint, so that a failed one does
    not affect others. Results are returned after the commit.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._jobs: SimpleQueue[PendingWrite | None] = SimpleQueue()
        self._is_closed, self._closing = False, Lock()
        self._thread = Thread(target=self._run, name="sonant-database-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Connection], T]) -> "Future[T]":
        """Submit a function; functions run in order of submission. Raises RuntimeError after `close`."""
        outcome: Future[T] = Future()
        with self._closing:
            if self._is_closed:
                raise RuntimeError("The database was closed.")
            self._jobs.put(PendingWrite(work, outcome))
        return outcome

    def close(self) -> None:
        """Finish the submitted functions, and stop."""
        with self._closing:
            self._is_closed = True
            self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        stopping = False
        while not stopping:
            together = [self._jobs.get()]
            try:
                while len(together) < MOST_TOGETHER:
                    together.append(self._jobs.get_nowait())
            except Empty:
                pass
            stopping = None in together
            self._commit([job for job in together if job is not None and job.outcome.set_running_or_notify_cancel()])

    def _commit(self, jobs: list[PendingWrite]) -> None:
        done: list[tuple[PendingWrite, Any, Exception | None]] = []
        try:
            with self._engine.begin() as connection:
                done.extend(_carry_out(connection, job) for job in jobs)
        except Exception as error:  # noqa: BLE001 - it is handed to all who wait
            done = [(job, None, error) for job in jobs]
        for job, result, failure in done:
            if failure is None:
                job.outcome.set_result(result)
            else:
                job.outcome.set_exception(failure)


def _carry_out(connection: Connection, job: PendingWrite) -> tuple[PendingWrite, Any, Exception | None]:
    connection.exec_driver_sql("SAVEPOINT job")
    try:
        result = job.work(connection)
    except Exception as error:  # noqa: BLE001 - raised by the future
        connection.exec_driver_sql("ROLLBACK TO job")
        connection.exec_driver_sql("RELEASE job")
        return job, None, error
    connection.exec_driver_sql("RELEASE job")
    return job, result, None

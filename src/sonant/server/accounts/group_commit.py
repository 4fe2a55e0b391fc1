"""Group commit: one thread writes, and writes that arrive during a commit share the next transaction."""

from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from sonant.server.accounts.jobs import Job

MOST_TOGETHER = 128  # writes in one transaction


class Done(NamedTuple):
    """A job that was carried out in a transaction that is not yet committed."""

    job: Job[Any]
    result: Any
    failure: Exception | None


class GroupCommit:
    """Writes to SQLite with several functions in one transaction, since each commit waits for the disk.

    SQLite allows one writing transaction at a time. Each function has its own savepoint, so that a failed one does
    not affect others. Results are returned after the commit.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._jobs: SimpleQueue[Job[Any] | None] = SimpleQueue()
        self._is_closed, self._closing = False, Lock()
        self._thread = Thread(target=self._run, name="sonant-database-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job[Any]) -> None:
        """Submit a job; jobs run in order of submission. Raises RuntimeError after `close`."""
        with self._closing:
            if self._is_closed:
                raise RuntimeError("The database was closed.")
            self._jobs.put(job)

    def close(self) -> None:
        """Finish the submitted jobs, and stop."""
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
            self._commit([job for job in together if job is not None and not job.outcome.cancelled()])

    def _commit(self, jobs: list[Job[Any]]) -> None:
        if not jobs:
            return
        done: list[Done] = []
        try:
            with self._engine.begin() as connection:
                done.extend(_carry_out(connection, job) for job in jobs if job.begin())
        except Exception as error:  # noqa: BLE001 - it is handed to all who wait
            for job in jobs:
                job.fail(error)
            return
        for job, result, failure in done:
            if failure is None:
                job.outcome.set_result(result)
            else:
                job.fail(failure)


def _carry_out(connection: Connection, job: Job[Any]) -> Done:
    """Run a job in a savepoint. Raises OperationalError: the database fails, and with it the whole transaction."""
    connection.exec_driver_sql("SAVEPOINT job")
    try:
        result = job.work(connection)
    except OperationalError:
        raise
    except Exception as error:  # noqa: BLE001 - raised by the future
        connection.exec_driver_sql("ROLLBACK TO job")
        connection.exec_driver_sql("RELEASE job")
        return Done(job, None, error)
    connection.exec_driver_sql("RELEASE job")
    return Done(job, result, None)

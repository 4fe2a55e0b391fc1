"""The database: SQLite or PostgreSQL. No call blocks the event loop, or waits for the database without end."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DatabaseError, DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError

from sonant.errors import ConfigurationError
from sonant.server.accounts.engines import PATIENCE_SECONDS, known_url, make_file, postgresql, sqlite
from sonant.server.accounts.group_commit import GroupCommit
from sonant.server.accounts.jobs import Job
from sonant.server.accounts.migrations import upgrade
from sonant.server.errors import ApiError

T = TypeVar("T")
READERS, WRITERS = 4, 8  # threads, each with its own connection; SQLite has one writer thread
IMPATIENCE_SECONDS = 0.5  # after a failure, so that a request that waits twice is answered within 3 s
START_SECONDS = 30.0  # at the start, for the migrations of another process
RETRY_SECONDS = 5.0  # Retry-After
TRANSIENT = {"40001", "40P01"}  # serialization failure or deadlock in PostgreSQL; the transaction was rolled back
TRIES = 4  # attempts after such an error
OF_THE_WORK = (DataError, IntegrityError, NotSupportedError, ProgrammingError)  # other errors are of the database

logger = logging.getLogger(__name__)


class DatabaseUnavailable(ApiError):
    """The database is locked, full or gone; what was to be written has no effect, or will have none."""

    def __init__(self) -> None:
        super().__init__(
            503,
            "database_unavailable",
            "The database of this server's accounts does not answer at the moment. Nothing was charged; ask again "
            "after the seconds in Retry-After.",
            retry_after=RETRY_SECONDS,
        )


class Database:
    """Runs functions of a connection in a thread, each in one transaction.

    SQLite writes in one thread (see `GroupCommit`) and reads concurrently; PostgreSQL does both in a thread pool, and
    the statements lock their rows. A function that writes may be run again and must have no other effects.

    A transaction that cannot begin within PATIENCE_SECONDS, or fails by a fault of the database, raises
    DatabaseUnavailable. Further ones wait IMPATIENCE_SECONDS each, until one that writes succeeds.

    Attributes:
        is_available: whether the last write succeeded, and no read has failed since.
        tried: when that was known, by `time.monotonic`.
    """

    def __init__(self, url: str) -> None:
        self._url = known_url(url)
        self._is_sqlite = self._url.get_backend_name() == "sqlite"
        self.is_available, self.tried = True, 0.0

    async def __aenter__(self) -> Self:
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="sonant-database-reader")
        try:
            await asyncio.get_running_loop().run_in_executor(self._readers, self._open)
        except DatabaseError as error:
            self._readers.shutdown()
            raise ConfigurationError(
                f"The database {self._url!r} cannot be opened: {error.orig}. Is it there, and may this user write it?"
            ) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a function that writes nothing. Raises DatabaseUnavailable."""
        job = Job(work)
        self._readers.submit(self._run, self._read_engine, job)
        return await self._result(job.outcome)

    def write(self, work: Callable[[Connection], T]) -> "asyncio.Future[T]":
        """Run a function that writes, atomically. It is started whether or not the result is awaited.

        Raises DatabaseUnavailable: it had no effect, unless the connection was lost while it was committed.
        """
        job = Job(work)
        if self._is_sqlite:
            self._group_commit.submit(job)
        else:
            self._writers.submit(self._run, self._write_engine, job)
        return asyncio.ensure_future(self._written(job.outcome))

    async def _written(self, outcome: "Future[T]") -> T:
        result = await self._result(outcome)
        if not self.is_available:
            logger.warning("the database takes writes again")
        self.is_available, self.tried = True, monotonic()
        return result

    async def _result(self, outcome: "Future[T]") -> T:
        """Await the result of a job; if its transaction does not begin in time, it never will."""
        future = asyncio.wrap_future(outcome)
        patience = PATIENCE_SECONDS if self.is_available else IMPATIENCE_SECONDS
        try:
            await asyncio.wait([future], timeout=patience)
            if outcome.cancel():
                raise TimeoutError(f"no transaction could begin within {patience:g} s")
            return await future
        except OF_THE_WORK:
            raise
        except (DBAPIError, TimeoutError) as error:
            if self.is_available:  # once, not for every request
                logger.error("the database does not answer: %s", getattr(error, "orig", error))  # noqa: TRY400
            self.is_available, self.tried = False, monotonic()
            raise DatabaseUnavailable from error
        finally:
            outcome.cancel()

    def _open(self) -> None:
        if self._is_sqlite:
            make_file(Path(str(self._url.database)))
            starting = sqlite(self._url, seconds=START_SECONDS)
            upgrade(starting)
            starting.dispose()
            self._write_engine, self._read_engine = sqlite(self._url), sqlite(self._url, read_only=True)
            self._group_commit = GroupCommit(self._write_engine)
        else:
            self._read_engine, self._write_engine = postgresql(self._url), postgresql(self._url, bound_locks=True)
            upgrade(self._read_engine)
            self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="sonant-database-writer")

    def _close(self) -> None:
        if self._is_sqlite:
            self._group_commit.close()
        else:
            self._writers.shutdown()
        self._readers.shutdown()
        self._read_engine.dispose()
        self._write_engine.dispose()

    def _run(self, engine: Engine, job: Job[Any]) -> None:
        has_begun = False
        for tries_left in reversed(range(TRIES)):
            if job.outcome.cancelled():
                return
            try:
                with engine.begin() as connection:
                    if not has_begun and not job.begin():
                        return
                    has_begun = True
                    result = job.work(connection)
            except Exception as error:  # noqa: BLE001 - raised by the future
                if not tries_left or getattr(getattr(error, "orig", None), "sqlstate", None) not in TRANSIENT:
                    job.fail(error)
                    return
            else:
                job.outcome.set_result(result)
                return

"""The database: SQLite or PostgreSQL. No call blocks the event loop."""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError

from sonant.errors import ConfigurationError, MissingExtra
from sonant.server.accounts.group_commit import GroupCommit
from sonant.server.accounts.migrations import upgrade

T = TypeVar("T")
READERS, WRITERS = 4, 8  # threads, each with its own connection; SQLite has one writer thread
BUSY_SECONDS = 10.0  # to wait for a writer of another process
TRANSIENT = {"40001", "40P01"}  # serialization failure or deadlock in PostgreSQL; the transaction was rolled back
TRIES = 4  # attempts after such an error
QUIET = {"hide_parameters": True}  # so that logged errors contain no password hashes


class Database:
    """Runs functions of a connection in a thread, each in one transaction.

    SQLite writes in one thread (see `GroupCommit`) and reads concurrently; PostgreSQL does both in a thread pool, and
    the statements lock their rows. A function that writes may be run again and must have no other effects.
    """

    def __init__(self, url: str) -> None:
        self._url = _known(url)
        self._is_sqlite = self._url.get_backend_name() == "sqlite"

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
        """Run a function that writes nothing."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._reading, work)

    def write(self, work: Callable[[Connection], T]) -> "asyncio.Future[T]":
        """Run a function that writes, atomically. It is started whether or not the result is awaited."""
        return asyncio.wrap_future(self._submit(work))

    def _submit(self, work: Callable[[Connection], T]) -> "Future[T]":
        if self._is_sqlite:
            return self._group_commit.submit(work)
        return self._writers.submit(self._writing, work)

    def _open(self) -> None:
        if self._is_sqlite:
            _make_file(Path(str(self._url.database)))
            self._write_engine, self._read_engine = _sqlite(self._url), _sqlite(self._url, read_only=True)
            upgrade(self._write_engine)
            self._group_commit = GroupCommit(self._write_engine)
        else:
            self._write_engine = self._read_engine = _postgresql(self._url)
            upgrade(self._write_engine)
            self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="sonant-database-writer")

    def _close(self) -> None:
        if self._is_sqlite:
            self._group_commit.close()
        else:
            self._writers.shutdown()
        self._readers.shutdown()
        self._read_engine.dispose()
        self._write_engine.dispose()

    def _reading(self, work: Callable[[Connection], T]) -> T:
        with self._read_engine.begin() as connection:
            return work(connection)

    def _writing(self, work: Callable[[Connection], T]) -> T:
        for tries_left in reversed(range(TRIES)):
            try:
                with self._write_engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                if not tries_left or getattr(error.orig, "sqlstate", None) not in TRANSIENT:
                    raise
        raise AssertionError


def _known(url: str) -> URL:
    """Add the driver to a database URL. Raises ConfigurationError for an unsupported database."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = URL.create("", database=url)
    name = parsed.drivername.partition("+")[0]
    if name in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    if name == "sqlite" and parsed.database and parsed.database != ":memory:":
        return parsed.set(drivername="sqlite")
    raise ConfigurationError(
        f"The database is {parsed.render_as_string(hide_password=True)!r}; expected a file of SQLite, "
        "sqlite:///FILE, or PostgreSQL, postgresql://USER:PASSWORD@HOST/NAME."
    )


def _make_file(path: Path) -> None:
    """Create the file, readable by its owner only; SQLite gives its journal files the same permissions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _sqlite(url: URL, *, read_only: bool = False) -> Engine:
    engine = create_engine(url, pool_size=READERS, max_overflow=0, connect_args={"timeout": BUSY_SECONDS}, **QUIET)

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # no implicit transactions by the sqlite3 module
        connection.execute("PRAGMA journal_mode = WAL")  # readers do not block on a writer
        connection.execute("PRAGMA synchronous = FULL")  # commits survive a power failure
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A deferred transaction that writes after a read fails, instead of waiting, if another one has written since.
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _postgresql(url: URL) -> Engine:
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise MissingExtra("psycopg", extra="postgres", purpose="A database of PostgreSQL") from error
    waiting = {"connect_timeout": int(BUSY_SECONDS)}
    pool = {"pool_size": READERS + WRITERS, "max_overflow": 0, "pool_pre_ping": True}
    return create_engine(url, connect_args=waiting, **pool, **QUIET)

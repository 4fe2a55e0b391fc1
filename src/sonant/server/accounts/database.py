"""The database: a file of SQLite, or PostgreSQL. No call waits in the event loop."""

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
READERS, WRITERS = 4, 8  # threads, each with a connection of its own; of SQLite there is one writer
BUSY_SECONDS = 10.0  # that a writer of another process is waited for
TRANSIENT = {"40001", "40P01"}  # PostgreSQL could not serialize, or met a deadlock, and has undone everything
TRIES = 4  # of work that met one of these
QUIET = {"hide_parameters": True}  # an error that is logged shows no one's password hash


class Database:
    """Runs work, a function of a connection, in a thread and in one transaction; its result is awaited.

    SQLite writes in one thread (see `GroupCommit`) and reads beside it; PostgreSQL does both in a pool of threads, and
    its rows are locked by the statements themselves. Work that writes may be tried again: it must have no other effect.
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
        """Do work that writes nothing."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._reading, work)

    def write(self, work: Callable[[Connection], T]) -> "asyncio.Future[T]":
        """Do work that writes: all of it or, if it raises, none. It begins whether or not the result is awaited."""
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
    """The address, with the driver that we use. Raises ConfigurationError: not of a database that we know."""
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
    """The file, readable by its owner alone; SQLite's own files beside it become like it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _sqlite(url: URL, *, read_only: bool = False) -> Engine:
    engine = create_engine(url, pool_size=READERS, max_overflow=0, connect_args={"timeout": BUSY_SECONDS}, **QUIET)

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # Python's module begins no transactions of its own
        connection.execute("PRAGMA journal_mode = WAL")  # readers see the last commit while a writer is at work
        connection.execute("PRAGMA synchronous = FULL")  # a commit outlives a power failure, too
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads before it writes would fail, not wait, if another has written in between.
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

"""Engines of SQLAlchemy for SQLite and PostgreSQL, which do not wait for a database without end."""

import os
import sqlite3
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from sonant.errors import ConfigurationError, MissingExtra

CONNECTIONS = 8  # at a time of one engine
PATIENCE_SECONDS = 2.0  # for a connection, and for writers of other processes
LOCK_SECONDS = 1  # for a row that another transaction of PostgreSQL has locked
QUIET = {"hide_parameters": True}  # so that logged errors contain no password hashes


def known_url(url: str) -> URL:
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


def make_file(path: Path) -> None:
    """Create the file, readable by its owner only; SQLite gives its journal files the same permissions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def sqlite(url: URL, *, read_only: bool = False, seconds: float = PATIENCE_SECONDS) -> Engine:
    """Make an engine that waits `seconds` for writers of other processes.

    Connections to a file that was moved, deleted or replaced are given up; a file that is missing is not created.
    """
    path = Path(str(url.database)).absolute()
    url = url.set(database=path.as_uri()).update_query_dict({"uri": "true", "mode": "rw"})
    engine = create_engine(
        url,
        pool_size=CONNECTIONS,
        max_overflow=0,
        connect_args={"timeout": seconds, "check_same_thread": False},
        **QUIET,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        record.info["file"] = _identity(path)
        connection.isolation_level = None  # no implicit transactions by the sqlite3 module
        connection.execute("PRAGMA journal_mode = WAL")  # readers do not block on a writer
        connection.execute("PRAGMA synchronous = FULL")  # commits survive a power failure
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")

    @event.listens_for(engine, "checkout")
    def check(_: sqlite3.Connection, record: ConnectionPoolEntry, __: object) -> None:
        if _identity(path) != record.info["file"]:
            raise DisconnectionError(f"{path} is no longer the file that was opened")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A deferred transaction that writes after a read fails, instead of waiting, if another one has written since.
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _identity(path: Path) -> tuple[int, int] | None:
    """Return the device and number of a file; None if it is missing."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def postgresql(url: URL, *, bound_locks: bool = False) -> Engine:
    """Make an engine, whose transactions wait LOCK_SECONDS at most for a locked row if `bound_locks`."""
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise MissingExtra("psycopg", extra="postgres", purpose="A database of PostgreSQL") from error
    waiting = {
        "connect_timeout": round(PATIENCE_SECONDS),
        "tcp_user_timeout": round(1000 * PATIENCE_SECONDS),  # milliseconds: a machine that has gone
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
    }
    pool = {"pool_size": CONNECTIONS, "max_overflow": 0, "pool_pre_ping": True}
    engine = create_engine(url, connect_args=waiting, **pool, **QUIET)
    if bound_locks:
        bound = f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(bound))
    return engine

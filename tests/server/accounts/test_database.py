"""Work is done wholly or not at all, and never in the event loop."""

import asyncio
import shutil
import sqlite3
import stat
import threading
import time
from contextlib import closing

import pytest
from sqlalchemy import event, insert, select
from sqlalchemy.exc import IntegrityError

from sonant.errors import ConfigurationError
from sonant.server.accounts import database as module
from sonant.server.accounts.database import Database, DatabaseUnavailable
from sonant.server.accounts.tables import servers


def add(name: str, heartbeat: int = 1):
    return lambda connection: connection.execute(insert(servers), {"id": name, "heartbeat": heartbeat}).rowcount


def names(connection) -> list[str]:
    return sorted(connection.scalars(select(servers.c.id)))


def test_what_is_written_is_read_and_stays(settings):
    async def work():
        async with Database(settings.database_url) as database:
            await database.write(add("a"))
            assert await database.read(names) == ["a"]
        async with Database(settings.database_url) as database:
            return await database.read(names)

    assert asyncio.run(work()) == ["a"]


def test_a_failure_undoes_its_own_work_and_no_other(settings):
    """Even of work that shares its transaction."""

    def fails(connection):
        add("half")(connection)
        raise KeyError("x")

    async def work():
        async with Database(settings.database_url) as database:
            await database.write(add("a"))
            jobs = [fails, add("b"), add("a"), fails, add("c")]
            done = await asyncio.gather(*(database.write(job) for job in jobs), return_exceptions=True)
            return done, await database.read(names)

    done, kept = asyncio.run(work())
    assert kept == ["a", "b", "c"]
    assert [type(each) for each in done] == [KeyError, int, IntegrityError, KeyError, int]


def test_many_writers_share_a_commit(tmp_path):
    """What arrives while the first transaction runs goes into the second together."""

    async def work():
        async with Database(f"sqlite:///{tmp_path / 'a.db'}") as database:
            commits, begun, go_on = [], threading.Event(), threading.Event()
            event.listen(database._write_engine, "commit", lambda _: commits.append(1))

            def slow(connection):
                begun.set()
                assert go_on.wait(10)
                return add("slow")(connection)

            first = database.write(slow)
            await asyncio.to_thread(begun.wait, 10)
            others = [database.write(add(f"{i:02}")) for i in range(50)]
            go_on.set()
            await asyncio.gather(first, *others)
            return len(commits), await database.read(names)

    commits, kept = asyncio.run(work())
    assert commits == 2
    assert len(kept) == 51


def test_an_error_shows_no_values(settings):
    """It may be logged, and the values may be hashes of passwords."""

    async def work():
        async with Database(settings.database_url) as database:
            await database.write(add("a-value"))
            with pytest.raises(IntegrityError) as failure:
                await database.write(add("a-value"))
            return str(failure.value)

    told = asyncio.run(work())
    assert "INSERT INTO servers" in told
    assert "[parameters: " not in told


def test_a_reader_cannot_write(tmp_path):
    async def work():
        async with Database(f"sqlite:///{tmp_path / 'a.db'}") as database:
            with pytest.raises(DatabaseUnavailable):
                await database.read(add("a"))

    asyncio.run(work())


def test_the_file_is_its_owners(tmp_path):
    async def work():
        async with Database(f"sqlite:///{tmp_path / 'data' / 'a.db'}"):
            return {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}

    modes = asyncio.run(work())
    assert "a.db" in modes
    assert set(modes.values()) == {0o600}


def test_the_event_loop_goes_on_while_the_database_is_busy(tmp_path):
    async def work():
        async with Database(f"sqlite:///{tmp_path / 'a.db'}") as database:
            go_on, turns = threading.Event(), 0
            waiting = database.write(lambda _: go_on.wait(10))
            while turns < 100:
                await asyncio.sleep(0)
                turns += 1
            assert not waiting.done()
            go_on.set()
            await waiting

    asyncio.run(work())


def test_what_was_submitted_is_done_before_it_closes_and_nothing_after(settings):
    async def work():
        async with Database(settings.database_url) as database:
            last = [database.write(add(f"{i}")) for i in range(20)]
        await asyncio.gather(*last)
        with pytest.raises(RuntimeError):  # and not wait for ever
            await database.write(add("late"))
        async with Database(settings.database_url) as database:
            assert len(await database.read(names)) == 20

    asyncio.run(work())


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://here/x", "accounts.db", ""])
def test_an_address_of_no_database_is_refused(url):
    with pytest.raises(ConfigurationError, match="expected a file of SQLite"):
        Database(url)


def test_a_refusal_does_not_tell_the_password():
    with pytest.raises(ConfigurationError) as refusal:
        Database("mysql://me:secret@here/x")
    assert "secret" not in str(refusal.value)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "a.db").write_bytes(b"not a database, and longer than a header of one" * 100)

    async def work():
        async with Database(f"sqlite:///{tmp_path / 'a.db'}"):
            pass

    with pytest.raises(ConfigurationError, match=r"a\.db.*cannot be opened"):
        asyncio.run(work())


def test_a_locked_file_is_told_in_time_and_nothing_is_written_later(tmp_path, monkeypatch):
    """The second wait of a request is short, so that both together are."""
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.8)
    monkeypatch.setattr(module, "IMPATIENCE_SECONDS", 0.1)

    async def work():
        async with Database(f"sqlite:///{tmp_path / 'a.db'}") as database:
            with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                start = time.monotonic()
                with pytest.raises(DatabaseUnavailable):
                    await database.write(add("first"))
                refused = await asyncio.gather(*(database.write(add(f"{i}")) for i in range(3)), return_exceptions=True)
                seconds = time.monotonic() - start
                assert await database.read(names) == []  # readers do not wait for writers
                assert not database.is_available
                other.execute("COMMIT")
            await database.write(add("later"))
            assert database.is_available
            return refused, seconds, await database.read(names)

    refused, seconds, kept = asyncio.run(work())
    assert [(type(error), error.status, bool(error.headers["Retry-After"])) for error in refused] == [
        (DatabaseUnavailable, 503, True)
    ] * 3
    assert 0.8 < seconds < 1.5
    assert kept == ["later"]


def test_a_full_disk_is_told_and_forgotten_when_there_is_room(tmp_path):
    async def work():
        async with Database(f"sqlite:///{tmp_path / 'a.db'}") as database:

            def room(connection, pages):
                connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

            await database.write(lambda connection: room(connection, 1))  # SQLite takes what there is already
            jobs = [add("x" * 100_000), add("small")]
            refused = await asyncio.gather(*(database.write(job) for job in jobs), return_exceptions=True)
            assert isinstance(refused[0], DatabaseUnavailable)
            await database.write(lambda connection: room(connection, 1_000_000))
            await database.write(add("later"))
            return await database.read(names)

    assert "later" in asyncio.run(work())


def test_a_file_that_is_gone_is_told_and_not_made_anew(tmp_path):
    path = tmp_path / "a.db"

    async def work():
        async with Database(f"sqlite:///{path}") as database:
            await database.write(add("before"))
            await database.read(names)
            path.rename(tmp_path / "moved.db")
            for attempt in (database.write(add("lost")), database.read(names)):
                with pytest.raises(DatabaseUnavailable):
                    await attempt
            assert not path.exists()
            shutil.copy(tmp_path / "moved.db", path)  # as from a backup
            await database.write(add("after"))
            return await database.read(names)

    assert asyncio.run(work()) == ["after", "before"]


def test_an_address_with_odd_characters_is_a_file(tmp_path):
    async def work():
        async with Database(f"sqlite:///{tmp_path}/ä #1 &c.db") as database:
            await database.write(add("a"))

    asyncio.run(work())
    assert (tmp_path / "ä #1 &c.db").exists()


def test_a_locked_row_is_told_in_time(postgresql, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.5)

    async def work():
        async with Database(postgresql()) as database:
            await database.write(add("a"))
            go_on, holds = threading.Event(), threading.Event()

            def slow(connection):
                connection.execute(servers.update().values(heartbeat=2))
                holds.set()
                return go_on.wait(10)

            first = database.write(slow)
            await asyncio.to_thread(holds.wait)
            with pytest.raises(DatabaseUnavailable):
                await database.write(lambda connection: connection.execute(servers.update().values(heartbeat=3)))
            go_on.set()
            await first

    asyncio.run(work())

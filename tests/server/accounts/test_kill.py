"""kill -9 in the middle of thousands of bills: nothing is lost, nothing is paid twice, nothing stays held."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sonant.server.accounts.accounts import Accounts
from sonant.server.accounts.servers import this_process
from tests.server.accounts.ledger import audited
from tests.server.accounts.people import bill, new_caller

ROOT = Path(__file__).parents[3]


def kill_after(seconds: float, settings, user_id: int, *, program: str = "killed_server") -> list[str]:
    """Run a server for so long after its first answer, kill it, and return what it had answered."""
    arguments = [str(settings.data), settings.database or "", str(user_id)]
    server = subprocess.Popen(
        [sys.executable, "-m", f"tests.server.accounts.{program}", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    first = server.stdout.readline()
    threading.Timer(seconds, server.kill).start()
    answered = [line.strip() for line in (first, *server.stdout) if line.endswith("\n")]
    assert server.wait() == -9
    return answered


@pytest.mark.slow
@pytest.mark.skipif(this_process() is None, reason="tells of processes at once on Linux only")
def test_killed_again_and_again(settings):
    async def prepare():
        async with Accounts(settings) as accounts:
            return await new_caller(accounts, "100000")

    async def restart():
        async with Accounts(settings):
            return audited(settings.database_url)

    caller = asyncio.run(prepare())
    answered, held = 0, []
    for i in range(4):
        answered += len(kill_after(0.5 + 0.37 * i, settings, caller.user_id))
        books = audited(settings.database_url)  # as the killed one left it
        held.append(books.held)
        assert books.requests >= answered  # what a client was told is paid; so is what was charged but not yet told
        assert books.spent == books.requests * 10**6
        books = asyncio.run(restart())
        assert books.held == 0
    assert answered > 500
    assert any(held)  # or this test has shown nothing


@pytest.mark.slow
@pytest.mark.skipif(this_process() is None, reason="tells of processes at once on Linux only")
def test_the_living_keep_what_they_hold(settings):
    """A server that starts beside others gives back what the dead held, and nothing else."""

    async def work():
        async with Accounts(settings) as accounts:
            caller = await new_caller(accounts, "100000")
            async with bill(accounts, caller, "500"):
                await asyncio.to_thread(kill_after, 0.6, settings, caller.user_id)
                before = audited(settings.database_url).held
                async with Accounts(settings):
                    return before, audited(settings.database_url).held

    before, after = asyncio.run(work())
    assert after == 500 * 10**9
    assert before >= after
    assert audited(settings.database_url).held == 0


def test_a_server_of_which_nothing_is_heard_is_dead(settings, monkeypatch):
    """As on another machine, whose processes nobody here can see."""
    from sonant.server.accounts import servers

    monkeypatch.setattr(servers, "this_process", lambda: None)
    now = time.time()

    async def work():
        async with Accounts(settings) as accounts:
            caller = await new_caller(accounts, "5")
            async with bill(accounts, caller, "1"):
                seen = []
                for later in (20, 40):
                    monkeypatch.setattr(time, "time", lambda later=later: now + later)
                    async with Accounts(settings) as other:
                        seen.append(await other.credit.of(caller.user_id))
                return seen

    assert asyncio.run(work()) == [4, 5]
    audited(settings.database_url)


@pytest.mark.slow
def test_enrolled_voices_survive(settings):
    """A voice whose enrollment was told is there after kill -9, and no more than once."""

    async def prepare():
        async with Accounts(settings) as accounts:
            return (await new_caller(accounts, "1")).user_id

    async def enrolled(user_id):
        async with Accounts(settings) as accounts:
            return [person.recordings for person in await accounts.voices.everyone(user_id)]

    user_id, told = asyncio.run(prepare()), 0
    for seconds in (0.4, 0.9):
        told += len(kill_after(seconds, settings, user_id, program="enrolling_server"))
        kept = sum(asyncio.run(enrolled(user_id)))
        assert told <= kept <= told + 2 * 16  # one per task may be done and not told
        told = kept
    assert told > 20

"""Money is exact: granted = credit + held + spent, whatever happens to the requests."""

import asyncio
import random
import sqlite3
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import replace
from decimal import Decimal

import anyio
import pytest
from sqlalchemy import update

from sonant.server.accounts import credit, database
from sonant.server.accounts.accounts import Accounts
from sonant.server.accounts.caller import ANONYMOUS
from sonant.server.accounts.database import DatabaseUnavailable
from sonant.server.accounts.tables import servers
from sonant.server.errors import ApiError
from sonant.server.settings import AccountRules, ServerSettings
from tests.server.accounts.ledger import audited
from tests.server.accounts.people import bill, new_caller

UNIT = 10**9


def test_held_then_charged(settings):
    async def work():
        async with Accounts(settings) as accounts:
            caller = await new_caller(accounts, "5")
            async with bill(accounts, caller, "1.25") as held:
                assert held.cost == Decimal("1.25")
                assert await accounts.credit.of(caller.user_id) == Decimal("3.75")
                assert audited(settings.database_url)[1:] == (3.75 * UNIT, 1.25 * UNIT, 0, 0)
            assert await accounts.credit.of(caller.user_id) == Decimal("3.75")
            assert audited(settings.database_url)[1:] == (3.75 * UNIT, 0, 1.25 * UNIT, 1)

    asyncio.run(work())


@pytest.mark.parametrize("failure", [ValueError, ApiError, asyncio.CancelledError, KeyboardInterrupt])
def test_a_failure_costs_nothing(failure, settings):
    async def work():
        async with Accounts(settings) as accounts:
            caller = await new_caller(accounts, "5")
            error = ApiError(500, "x", "x") if failure is ApiError else failure()
            try:
                async with bill(accounts, caller, "1"):
                    raise error
            except failure:
                pass
            return await accounts.credit.of(caller.user_id)

    assert asyncio.run(work()) == 5
    assert audited(settings.database_url)[1:] == (5 * UNIT, 0, 0, 0)


def test_nothing_is_served_beyond_the_credit(settings):
    async def work():
        async with Accounts(settings) as accounts:
            caller = await new_caller(accounts, "0.5")
            with pytest.raises(ApiError, match=r"costs 0\.75, and 0\.50 of") as refusal:
                async with bill(accounts, caller, "0.75"):
                    raise AssertionError
            async with bill(accounts, caller, "0.5"):  # to the last billionth
                pass
            return refusal.value, await accounts.credit.of(caller.user_id)

    refusal, left = asyncio.run(work())
    assert (refusal.status, refusal.code, left) == (402, "insufficient_credit", 0)
    assert audited(settings.database_url).requests == 1


def test_how_to_get_more_credit_is_said(settings):
    rules = replace(settings.accounts, more_credit="Write to speech@example.org.")

    async def work():
        async with Accounts(replace(settings, accounts=rules)) as accounts:
            caller = await new_caller(accounts, "0")
            with pytest.raises(ApiError, match=r"get more credit: Write to speech@example\.org\.$"):
                await bill(accounts, caller, "1").__aenter__()

    asyncio.run(work())


def test_what_is_free_or_anonymous_is_counted(settings):
    async def work():
        async with Accounts(settings) as accounts:
            caller = await new_caller(accounts, "0")
            async with bill(accounts, caller, "0", model="free") as free:
                pass
            async with bill(accounts, ANONYMOUS, "7") as anonymous:
                pass
            return free.cost, anonymous.cost, await accounts.usage.by_day()

    *costs, rows = asyncio.run(work())
    assert costs == [0, 0]
    assert {(row.model, row.requests, row.tokens, row.cost) for row in rows} == {("free", 1, 49, 0), ("m", 1, 49, 0)}
    audited(settings.database_url)


def test_a_billionth_is_the_smallest_amount(settings):
    async def work():
        async with Accounts(settings) as accounts:
            caller = await new_caller(accounts, "1")
            for cost in ("0.000000001", "0.0000000004", "0.0000000016"):
                async with bill(accounts, caller, cost):
                    pass
            return await accounts.credit.of(caller.user_id)

    assert asyncio.run(work()) == Decimal("0.999999997")
    audited(settings.database_url)


def test_requests_that_share_a_name_are_requests_all_the_same(settings):
    """Clients may choose the id of a request, and choose it twice."""

    async def work():
        async with Accounts(settings) as accounts:
            caller = await new_caller(accounts, "5")
            async with bill(accounts, caller, "1", request_id="same"), bill(accounts, caller, "1", request_id="same"):
                pass

    asyncio.run(work())
    assert audited(settings.database_url) == (5 * UNIT, 3 * UNIT, 0, 2 * UNIT, 2)


def test_servers_in_their_own_threads_share_a_credit(settings):
    """Each with its own loop and connections, as processes have: together they serve what the credit covers."""
    served: list[int] = []

    async def prepare():
        async with Accounts(settings) as accounts:
            return await new_caller(accounts, "1")

    caller = asyncio.run(prepare())

    async def one(accounts, random_):
        try:
            async with bill(accounts, caller, "0.01"):
                await asyncio.sleep(random_.random() / 500)
                if random_.random() < 0.2:
                    raise KeyError("the work failed")
                served.append(1)
        except (ApiError, KeyError):
            pass

    async def serve(seed):
        random_ = random.Random(seed)
        async with Accounts(settings) as accounts:
            await asyncio.gather(*(one(accounts, random_) for _ in range(60)))

    with ThreadPoolExecutor() as threads:
        running = [threads.submit(asyncio.run, serve(seed)) for seed in range(4)]
        while wait(running, timeout=0.05).not_done:
            audited(settings.database_url)
    for each in running:
        each.result()
    books = audited(settings.database_url)
    assert books.requests == len(served) <= 100
    assert (books.held, books.spent) == (0, len(served) * UNIT // 100)


def test_cancelled_at_any_moment(settings):
    """While the credit is being held, while the work is done, while it is charged: the books balance."""

    async def work():
        random_ = random.Random(7)
        async with Accounts(settings) as accounts:
            caller = await new_caller(accounts, "1000")
            ended = {"served": 0, "cancelled": 0}

            async def request():
                async with bill(accounts, caller, "1"):
                    await asyncio.sleep(random_.random() / 200)

            async def one():
                task = asyncio.create_task(request())
                await asyncio.sleep(random_.random() / 100)
                for _ in range(random_.randrange(1, 4)):  # impatient ones cancel again
                    task.cancel()
                    await asyncio.sleep(random_.random() / 2000)
                try:
                    await task
                    ended["served"] += 1
                except asyncio.CancelledError:
                    ended["cancelled"] += 1

            await asyncio.gather(*(one() for _ in range(300)))
            return ended

    ended = asyncio.run(work())
    books = audited(settings.database_url)
    assert books.held == 0
    assert ended["cancelled"] > 20
    # One that is cancelled while the database commits its charge is charged: its work was done.
    assert ended["served"] <= books.requests
    assert books.spent == books.requests * UNIT


def test_cancelled_by_a_scope_of_anyio(settings):
    """Which, unlike asyncio, cancels again at every await."""

    async def work():
        async with Accounts(settings) as accounts:
            caller = await new_caller(accounts, "5")
            with anyio.move_on_after(0.02) as scope:
                async with bill(accounts, caller, "1"):
                    await anyio.sleep(10)
            assert scope.cancelled_caught
            return await accounts.credit.of(caller.user_id)

    assert asyncio.run(work()) == 5
    assert audited(settings.database_url).held == 0


def test_a_hold_that_others_released_is_taken_again(settings):
    """A server that was silent for long finds its holds gone: it charges all the same, as far as the credit goes."""
    refused: list[str] = []

    async def work():
        async with Accounts(settings) as silent, Accounts(settings) as other:
            caller = await new_caller(silent, "1.5")
            try:
                async with bill(silent, caller, "1"):
                    async with bill(silent, caller, "0.4"):
                        forgotten = update(servers).where(servers.c.id == silent._servers.id).values(heartbeat=0)
                        await other._database.write(lambda connection: connection.execute(forgotten).rowcount)
                        await other._servers.beat()
                        assert await other.credit.of(caller.user_id) == Decimal("1.5")
                    assert await other.credit.of(caller.user_id) == Decimal("1.1")
                    async with bill(other, caller, "0.2"):
                        pass
            except ApiError as error:
                refused.append(error.code)
            return await other.credit.of(caller.user_id)

    assert asyncio.run(work()) == Decimal("0.9")
    assert refused == ["insufficient_credit"]
    assert audited(settings.database_url)[1:] == (0.9 * UNIT, 0, 0.6 * UNIT, 2)


def test_a_charge_that_the_database_cannot_do_costs_nothing(settings, monkeypatch):
    from sonant.server.accounts import bill as module

    def full(*_):
        raise OSError("the disk is full")

    async def work():
        async with Accounts(settings) as accounts:
            caller = await new_caller(accounts, "5")
            monkeypatch.setattr(module, "count", full)
            with pytest.raises(OSError, match="full"):
                async with bill(accounts, caller, "1"):
                    pass

    asyncio.run(work())
    assert audited(settings.database_url)[1:] == (5 * UNIT, 0, 0, 0)


@pytest.mark.parametrize("ending", ["failed", "cancelled", "answered"])
def test_what_could_not_be_given_back_is_with_the_next_beat(ending, settings, monkeypatch):
    """The database is out of reach as the request ends. Others that run keep what they hold."""

    def unreachable(*_):
        raise ConnectionError("gone")

    async def request(accounts, caller, patch, failure):
        async with bill(accounts, caller, "1"):
            for name in ("release", "drop"):
                patch.setattr(credit, name, unreachable)
            if ending != "answered":
                raise failure

    async def work():
        async with Accounts(settings) as accounts:
            caller = await new_caller(accounts, "5")
            async with bill(accounts, caller, "2"):
                failure = {"failed": KeyError, "cancelled": asyncio.CancelledError, "answered": ConnectionError}[ending]
                with monkeypatch.context() as patch, pytest.raises(failure):
                    await request(accounts, caller, patch, failure)
                before = await accounts.credit.of(caller.user_id)
                await accounts._servers.beat()
                return before, await accounts.credit.of(caller.user_id)

    assert asyncio.run(work()) == (2, 3)
    assert audited(settings.database_url)[1:] == (3 * UNIT, 0, 2 * UNIT, 1)


def test_a_hold_is_given_back_to_a_full_purse(settings):
    """Which no grant could fill further."""

    async def request(accounts, caller):
        async with bill(accounts, caller, "5"):
            await accounts.credit.grant(caller.user_id, Decimal(5), by="test")
            raise KeyError

    async def work():
        async with Accounts(settings) as accounts:
            caller = await new_caller(accounts, "1000000000")
            with pytest.raises(KeyError):
                await request(accounts, caller)
            return await accounts.credit.of(caller.user_id)

    assert asyncio.run(work()) == 10**9 + 5
    audited(settings.database_url)


@pytest.mark.parametrize("is_delivered", [False, True])
@pytest.mark.parametrize("is_done", [False, True])
def test_a_charge_of_which_nothing_is_known_is_made_once_or_undone(is_done, is_delivered, settings, monkeypatch):
    """The connection is lost before the commit, or after it: who got the result pays for it once, others nothing."""

    async def request(accounts, caller):
        async with bill(accounts, caller, "1") as open_bill:
            open_bill.is_delivered = is_delivered
            write = accounts._database.write

            def lossy(job):
                monkeypatch.setattr(accounts._database, "write", write)

                async def lost():
                    if is_done:
                        await write(job)
                    raise DatabaseUnavailable

                return asyncio.ensure_future(lost())

            monkeypatch.setattr(accounts._database, "write", lossy)

    async def work():
        async with Accounts(settings) as accounts:
            caller = await new_caller(accounts, "5")
            if is_delivered:
                await request(accounts, caller)
            else:
                with pytest.raises(DatabaseUnavailable):
                    await request(accounts, caller)
            for _ in range(2):
                await accounts._servers.beat()
            return await accounts.credit.of(caller.user_id)

    assert asyncio.run(work()) == (4 if is_delivered else 5)
    assert audited(settings.database_url)[2:] == ((0, UNIT, 1) if is_delivered else (0, 0, 0))


def test_locked_at_any_moment_of_a_request(tmp_path, monkeypatch):
    """While credit is held, charged or given back: the books balance, and nothing is done twice."""
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.05)
    settings = ServerSettings(data=tmp_path)

    async def work():
        random_ = random.Random(3)
        ended = {"served": 0, "streamed": 0, "refused": 0, "failed": 0}
        async with Accounts(settings) as accounts:
            caller = await new_caller(accounts, "1000")

            async def one(number):
                await asyncio.sleep(random_.random())
                try:
                    async with bill(accounts, caller, "1") as open_bill:
                        await asyncio.sleep(random_.random() / 10)
                        open_bill.is_delivered = number % 3 == 0
                        if number % 7 == 1:
                            raise KeyError("the work failed")
                    ended["streamed" if open_bill.is_delivered else "served"] += 1
                except DatabaseUnavailable:
                    ended["refused"] += 1
                except KeyError:
                    ended["failed"] += 1

            running = asyncio.gather(*(one(number) for number in range(150)))
            with closing(sqlite3.connect(tmp_path / "sonant.db", isolation_level=None)) as other:
                while not running.done():
                    other.execute("BEGIN IMMEDIATE")
                    await asyncio.sleep(0.1)
                    other.execute("COMMIT")
                    await asyncio.sleep(0.03)
            await running
            return ended

    ended = asyncio.run(work())
    assert min(ended.values()) > 0, ended
    answered = ended["served"] + ended["streamed"]
    assert audited(settings.database_url)[2:] == (0, answered * UNIT, answered)


def test_a_user_deleted_meanwhile(settings):
    async def work():
        async with Accounts(settings) as accounts:
            caller = await new_caller(accounts, "5")
            async with bill(accounts, caller, "0"):
                await accounts.users.delete(caller.user_id, by="test")
            return await accounts.usage.totals()

    assert asyncio.run(work()).requests == 1
    audited(settings.database_url)


def test_audio_by_the_minute(tmp_path):
    rules = AccountRules(audio_seconds_per_minute=2.5)

    async def work():
        async with Accounts(ServerSettings(data=tmp_path, accounts=rules)) as accounts:
            caller = await new_caller(accounts, "5")
            for _ in range(2):
                accounts.admit_audio(caller, 1.0, of=1.0)
            with pytest.raises(ApiError) as too_often:
                accounts.admit_audio(caller, 1.0, of=1.0)
            with pytest.raises(ApiError) as too_long:
                accounts.admit_audio(caller, 0.1, of=2.6)  # the last recording of a request
            accounts.admit_audio(caller, 0.5, of=1.5)
            accounts.admit_audio(ANONYMOUS, 100.0, of=100.0)
            return too_often.value, too_long.value

    too_often, too_long = asyncio.run(work())
    assert (too_often.status, too_often.code) == (429, "rate_limit_exceeded")
    assert 50 < too_often.retry_after <= 60
    assert (too_long.status, too_long.retry_after) == (413, None)


def test_a_cost_is_told_as_it_would_be_held() -> None:
    told = credit.insufficient(Decimal(1) / 59_333, Decimal(0)).message
    assert "costs 0.000016854, and 0.00 of" in told

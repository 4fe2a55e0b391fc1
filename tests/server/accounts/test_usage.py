"""Sums by day, model and endpoint; the audit log; the votes; grants."""

import asyncio
import time
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from sonant.server.accounts.accounts import Accounts
from sonant.server.accounts.usage import UsageRow, UsageTotals
from sonant.server.errors import ApiError
from tests.server.accounts.ledger import audited
from tests.server.accounts.people import bill, new_caller

DAY = 86_400


def test_usage_by_day_and_model(settings, monkeypatch):
    start = datetime(2026, 3, 1, 23, 59, 58, tzinfo=UTC).timestamp()

    async def work():
        async with Accounts(settings) as accounts:
            ada, bob = [await new_caller(accounts, "9", name) for name in ("ada", "bob")]
            for later, caller, model, endpoint in (
                (0, ada, "m", "embeddings"),
                (1, ada, "m", "embeddings"),
                (2, ada, "m", "embeddings"),  # the next day, in UTC
                (2, ada, "m", "transcription"),
                (2, bob, "n", "embeddings"),
            ):
                with monkeypatch.context() as patch:
                    patch.setattr(time, "time", lambda later=later: start + later)
                    async with bill(accounts, caller, "0.5", model=model, endpoint=endpoint):
                        pass
            by_day, totals = accounts.usage.by_day, accounts.usage.totals
            return (
                await by_day(user_id=ada.user_id),
                await by_day(since=date(2026, 3, 2)),
                await by_day(until=date(2026, 3, 1)),
                await totals(user_id=bob.user_id),
                await totals(user_id=99),
            )

    mine, since, until, total, nothing = asyncio.run(work())
    half = Decimal("0.5")
    assert mine == [
        UsageRow("2026-03-02", "m", "embeddings", 1, 49, 1.0, half),
        UsageRow("2026-03-02", "m", "transcription", 1, 49, 1.0, half),
        UsageRow("2026-03-01", "m", "embeddings", 2, 98, 2.0, 2 * half),
    ]
    assert since == [*mine[:2], UsageRow("2026-03-02", "n", "embeddings", 1, 49, 1.0, half)]
    assert until == mine[2:]
    assert total == UsageTotals(1, 49, 1.0, half)
    assert nothing == UsageTotals(0, 0, 0.0, Decimal(0))


def test_grants(settings):
    async def work():
        async with Accounts(settings) as accounts:
            ada = (await new_caller(accounts, "1")).user_id
            assert await accounts.credit.grant(ada, Decimal("2.5"), reason="thanks", by="root") == Decimal("3.5")
            assert await accounts.credit.grant(ada, Decimal("-3.5"), by="root") == 0
            assert await accounts.credit.of(ada) == 0
            for amount in ("-0.01", "0", "0.0000000001", "NaN", "Infinity", "1e30", "1000000001"):
                with pytest.raises(ApiError) as refusal:
                    await accounts.credit.grant(ada, Decimal(amount), by="root")
                assert refusal.value.status == 400
            with pytest.raises(ApiError) as refusal:
                await accounts.credit.grant(99, Decimal(1), by="root")
            assert refusal.value.status == 404
            await accounts.credit.grant(ada, Decimal(10**9), by="root")
            with pytest.raises(ApiError, match="between 0 and a billion"):
                await accounts.credit.grant(ada, Decimal(1), by="root")
            return await accounts.credit.grants(ada)

    given = asyncio.run(work())
    assert [(grant.amount, grant.reason, grant.by) for grant in given] == [
        (10**9, "", "root"),
        (Decimal("-3.5"), "", "root"),
        (Decimal("2.5"), "thanks", "root"),
        (1, "with the account", "test"),
    ]
    audited(settings.database_url)


def test_the_log_tells_who_did_what(settings):
    async def work():
        async with Accounts(settings) as accounts:
            ada = await accounts.users.sign_up("ada@example.org", "a long password", address="192.0.2.7")
            await accounts.sessions.sign_in("ada@example.org", "a long password", address="192.0.2.7")
            with pytest.raises(ApiError):
                await accounts.sessions.sign_in("ada@example.org", "a wrong password", address="192.0.2.8")
            key = await accounts.keys.create(ada.id, "laptop", by="ada@example.org")
            await accounts.keys.revoke(key.key.id, by="root")
            await accounts.credit.grant(ada.id, Decimal(2), reason="thanks", by="root")
            await accounts.users.set_disabled(ada.id, True, by="root")
            await accounts.audit.record("model loaded", by="root", target="m" * 300, detail="d" * 600)
            entries = await accounts.audit.entries(limit=5)
            entries += await accounts.audit.entries(before=entries[-1].id)
            about = await accounts.audit.entries(target="ada@example.org")
            return key.key.prefix, entries[::-1], [entry.action for entry in about]

    prefix, entries, about = asyncio.run(work())
    assert [(entry.by, entry.action, entry.target, entry.address) for entry in entries] == [
        ("ada@example.org", "user made", "ada@example.org", "192.0.2.7"),
        ("ada@example.org", "signed in", "ada@example.org", "192.0.2.7"),
        ("unknown", "sign-in failed", "ada@example.org", "192.0.2.8"),
        ("ada@example.org", "key made", prefix, ""),
        ("root", "key revoked", prefix, ""),
        ("root", "credit granted", "ada@example.org", ""),
        ("root", "user disabled", "ada@example.org", ""),
        ("root", "model loaded", "m" * 254, ""),
    ]
    assert [entry.id for entry in entries] == sorted(entry.id for entry in entries)
    assert about == ["user disabled", "credit granted", "sign-in failed", "signed in", "user made"]


def test_what_is_undone_is_not_in_the_log(settings):
    async def work():
        async with Accounts(settings) as accounts:
            ada = await accounts.users.create("ada@example.org", is_admin=True, by="test")
            with pytest.raises(ApiError, match="last administrator"):
                await accounts.users.delete(ada.id, by="ada")
            return [entry.action for entry in await accounts.audit.entries()]

    assert asyncio.run(work()) == ["user made"]


def test_one_vote_a_user_and_model(settings):
    async def work():
        async with Accounts(settings) as accounts:
            ada, bob = [(await new_caller(accounts, "1", name)).user_id for name in ("ada", "bob")]
            votes = accounts.votes
            assert [await votes.cast(user, "m") for user in (ada, ada, bob)] == [True, False, True]
            assert await votes.cast(ada, "n")
            assert await votes.counts() == {"m": 2, "n": 1}
            assert await votes.of(ada) == {"m", "n"}
            assert [await votes.withdraw(ada, "m") for _ in range(2)] == [True, False]
            at_once = await asyncio.gather(*(votes.cast(bob, "x") for _ in range(10)))
            assert sum(at_once) == 1
            return await votes.counts(), await votes.of(bob)

    assert asyncio.run(work()) == ({"m": 1, "n": 1, "x": 1}, {"m", "x"})

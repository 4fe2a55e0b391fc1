"""Accounts are made, signed in to, changed and deleted; what is refused says why."""

import asyncio
import time
from decimal import Decimal
from types import SimpleNamespace

import pytest
from sqlalchemy import delete, select

from sonant.server.accounts import free_credit as free_credit_rules
from sonant.server.accounts import rate_limits
from sonant.server.accounts import users as module
from sonant.server.accounts.accounts import Accounts
from sonant.server.accounts.rate_limits import DAY, Rate
from sonant.server.accounts.tables import free_credit, metadata
from sonant.server.errors import ApiError
from sonant.server.settings import AccountRules, ServerSettings

PASSWORD = "four words in a row"
HERE = "192.0.2.1"


def on(settings: ServerSettings, work):
    """Do something with the accounts of a server that has one user, ada."""

    async def main():
        async with Accounts(settings) as accounts:
            ada = await accounts.users.sign_up("Ada@Example.org ", PASSWORD, address=HERE)
            return await work(accounts, ada)

    return asyncio.run(main())


async def refused(awaitable) -> tuple[int, str]:
    with pytest.raises(ApiError) as refusal:
        await awaitable
    return refusal.value.status, refusal.value.code


def test_a_new_account(settings):
    async def work(accounts, ada):
        assert (ada.email, ada.is_admin, ada.is_disabled, ada.credit) == ("ada@example.org", False, False, 5)
        assert abs(ada.created - time.time()) < 60
        assert await accounts.users.get(ada.id) == ada
        assert await accounts.users.find(" ADA@example.ORG") == ada
        assert await accounts.users.find("bob@example.org") is None
        return await accounts.credit.grants(ada.id)

    (grant,) = on(settings, work)
    assert (grant.amount, grant.reason) == (5, "with the account")


def test_signing_in(settings):
    async def work(accounts, ada):
        new = await accounts.sessions.sign_in("ADA@example.org", PASSWORD, address=HERE)
        assert new.session.user_id == ada.id
        assert await refused(accounts.sessions.sign_in("ada@example.org", PASSWORD + "!", address=HERE)) == (
            401,
            "invalid_credentials",
        )
        assert await refused(accounts.sessions.sign_in("bob@example.org", PASSWORD, address=HERE)) == (
            401,
            "invalid_credentials",
        )

    on(settings, work)


@pytest.mark.parametrize(
    ("email", "password", "code"),
    [
        ("ada@example.org", PASSWORD, "email_taken"),
        ("ADA@EXAMPLE.ORG", PASSWORD, "email_taken"),
        ("ａｄａ@example.org", PASSWORD, "email_taken"),  # the same letters, wide ones
        ("ad\u200ba@example.org", PASSWORD, "invalid_email"),  # and an invisible one
        ("ada", PASSWORD, "invalid_email"),
        ("ada@example", PASSWORD, "invalid_email"),
        ("a da@example.org", PASSWORD, "invalid_email"),
        ("ada@@example.org", PASSWORD, "invalid_email"),
        ("admin@localhost", PASSWORD, "invalid_email"),
        ("x" * 250 + "@example.org", PASSWORD, "invalid_email"),
        ("bob@example.org", "123456789", "weak_password"),
        ("bob@example.org", "x" * 1025, "weak_password"),
        ("bob@example.org", "Bob@example.org", "weak_password"),
    ],
)
def test_no_account_is_made_of(email, password, code, tmp_path):
    async def work(accounts, _):
        assert await refused(accounts.users.sign_up(email, password, address=HERE)) == (400, code)
        return await accounts.users.search()

    assert len(on(ServerSettings(data=tmp_path), work)) == 1


def test_a_server_may_take_no_strangers(tmp_path):
    settings = ServerSettings(data=tmp_path, accounts=AccountRules(sign_up=False, free_credit=Decimal(0)))

    async def work():
        async with Accounts(settings) as accounts:
            assert (await refused(accounts.users.sign_up("a@b.org", PASSWORD, address=HERE)))[1] == "sign_up_closed"
            return await accounts.users.create("a@b.org", PASSWORD, by="test")

    assert asyncio.run(work()).credit == 0


def test_sign_ups_are_throttled_by_network_in_an_hour_and_in_a_day(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SIGN_UPS", (Rate(3, 3600), Rate(5, DAY)))
    hours = [0]
    monkeypatch.setattr(rate_limits, "time", SimpleNamespace(monotonic=lambda: 3600.0 * hours[0]))

    async def work(accounts, _):
        async def sign_up(number, address):
            try:
                await accounts.users.sign_up(f"bob{number}@example.org", PASSWORD, address=address)
            except ApiError as error:
                return error.status
            return 200

        async def several(start):
            return [await sign_up(start + i, f"2001:db8:0:7::{i:x}") for i in range(4)]

        assert await several(0) == [200, 200, 200, 429]
        assert await sign_up(10, "2001:db8:0:8::1") == 200
        hours[0] = 2
        assert await several(20) == [200, 200, 429, 429]

    on(ServerSettings(data=tmp_path), work)


@pytest.mark.parametrize("again", ["eve@example.org", "EVE+2@example.org", "eve+3@Example.ORG"])
def test_a_mailbox_has_free_credit_once(again, settings):
    """Deleting the account, or a tag, makes no new one."""

    async def work(accounts, _):
        first = await accounts.users.sign_up("eve+1@example.org", PASSWORD, address=HERE)
        await accounts.users.delete(first.id, by="test")
        second = await accounts.users.sign_up(again, PASSWORD, address="192.0.2.2")
        other = await accounts.users.sign_up("bob@example.org", PASSWORD, address="192.0.2.3")
        return first.credit, second.credit, other.credit

    assert on(settings, work) == (5, 0, 5)


def test_an_account_of_an_earlier_version_is_remembered_when_it_goes(settings):
    async def work(accounts, ada):
        await accounts._database.write(lambda connection: connection.execute(delete(free_credit)).rowcount)
        await accounts.users.delete(ada.id, by="test")
        return (await accounts.users.sign_up(ada.email, PASSWORD, address=HERE)).credit

    assert on(settings, work) == 0


def test_who_runs_the_server_may_give_it_again(settings):
    async def work(accounts, ada):
        await accounts.users.delete(ada.id, by="test")
        made = await accounts.users.create(ada.email, by="admin")
        await accounts.users.delete(made.id, by="test")
        return made.credit, (await accounts.users.sign_up(ada.email, PASSWORD, address=HERE)).credit

    assert on(settings, work) == (5, 0)


@pytest.mark.parametrize(
    ("address", "credited"),
    [
        (lambda i: "198.51.100.1", 3),
        (lambda i: f"2001:db8:0:7::{i:x}", 3),
        (lambda i: f"2001:db8:0:{i:x}::1", 5),  # the /64s of one /48
        (lambda i: f"2001:db8:{i:x}::1", 8),
    ],
)
def test_a_network_has_free_credit_for_a_few_accounts_a_day(address, credited, tmp_path, monkeypatch):
    monkeypatch.setattr(free_credit_rules, "PER_DAY", {64: Rate(3, DAY), 48: Rate(5, DAY)})

    async def work(accounts, _):
        made = [await accounts.users.sign_up(f"bob{i}@example.org", PASSWORD, address=address(i)) for i in range(8)]
        return sum(user.credit > 0 for user in made)

    assert on(ServerSettings(data=tmp_path), work) == credited


def test_who_is_disabled_is_shut_out_at_once(settings):
    async def work(accounts, ada):
        session = await accounts.sessions.sign_in(ada.email, PASSWORD, address=HERE)
        key = await accounts.keys.create(ada.id, "laptop", by="test")
        assert await accounts.sessions.recognize(session.token) is not None
        assert not (await accounts.keys.recognize(key.secret)).is_disabled
        await accounts.users.set_disabled(ada.id, True, by="test")
        assert await accounts.sessions.recognize(session.token) is None
        assert (await accounts.keys.recognize(key.secret)).is_disabled
        assert await refused(accounts.sessions.sign_in(ada.email, PASSWORD, address=HERE)) == (403, "account_disabled")
        await accounts.users.set_disabled(ada.id, False, by="test")
        assert await accounts.sessions.recognize(session.token) is not None

    on(settings, work)


def test_the_last_administrator_stays(settings):
    async def work(accounts, ada):
        users = accounts.users
        await users.set_admin(ada.id, True, by="test")
        attempts = (
            lambda: users.set_admin(ada.id, False, by="test"),
            lambda: users.set_disabled(ada.id, True, by="test"),
            lambda: users.delete(ada.id, by="test"),
        )
        for attempt in attempts:
            assert await refused(attempt()) == (400, "last_administrator")
        assert (await users.get(ada.id)).is_admin
        await users.create("bob@example.org", is_admin=True, by="test")
        await users.set_admin(ada.id, False, by="test")
        assert not (await users.get(ada.id)).is_admin

    on(settings, work)


def test_deleting_leaves_nothing_but_the_sums(settings):
    from tests.server.accounts.people import bill

    async def work(accounts, ada):
        from sonant.server.accounts.caller import Caller

        key = await accounts.keys.create(ada.id, "laptop", by="test")
        await accounts.sessions.sign_in(ada.email, PASSWORD, address=HERE)
        await accounts.votes.cast(ada.id, "m")
        caller = Caller(ada.id, key.key.id, frozenset(), is_admin=False, name="")
        async with bill(accounts, caller, "1"):
            pass
        await accounts.users.delete(ada.id, by="test")
        assert await accounts.keys.recognize(key.secret) is None
        assert (await refused(accounts.users.get(ada.id)))[1] == "user_not_found"

        def rows(connection):
            return {
                name: len(connection.execute(select(metadata.tables[name])).all())
                for name in ("users", "sessions", "api_keys", "grants", "holds", "votes", "usage")
            }

        bob = await accounts.users.create("bob@example.org", by="test")
        assert bob.id > ada.id  # no number is given twice
        await accounts.users.delete(bob.id, by="test")
        return await accounts._database.read(rows), await accounts.usage.totals()

    rows, totals = on(settings, work)
    assert rows == {"users": 0, "sessions": 0, "api_keys": 0, "grants": 0, "holds": 0, "votes": 0, "usage": 1}
    assert totals.cost == 1


def test_search_pages_through_everybody(settings):
    async def work(accounts, ada):
        for name in ("b_b", "bxb", "c%c"):
            await accounts.users.create(f"{name}@example.org", by="test")
        pages, after = [], 0
        while page := await accounts.users.search(limit=3, after=after):
            pages.append([user.email.partition("@")[0] for user in page])
            after = page[-1].id
        assert pages == [["ada", "b_b", "bxb"], ["c%c"]]
        for text, found in (("EXAMPLE", 4), ("b_b", 1), ("%", 1), ("zz", 0)):
            assert len(await accounts.users.search(text)) == found

    on(settings, work)


def test_passwords_keys_and_tokens_are_nowhere_in_the_database(tmp_path):
    async def work(accounts, ada):
        session = await accounts.sessions.sign_in(ada.email, PASSWORD, address=HERE)
        await refused(accounts.sessions.sign_in("my secret password", "in the wrong field", address=HERE))
        key = await accounts.keys.create(ada.id, "laptop", by="test")
        await accounts.keys.recognize(key.secret)
        return [PASSWORD, session.token, session.session.csrf_token, key.secret, key.secret[20:], "my secret password"]

    secrets = on(ServerSettings(data=tmp_path), work)
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"ada@example.org" in kept
    for secret in secrets:
        assert secret.encode() not in kept

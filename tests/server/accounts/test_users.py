"""Accounts are made, signed in to, changed and deleted; what is refused says why."""

import asyncio
import time
from decimal import Decimal

import pytest
from sqlalchemy import select

from sonant.server.accounts import users as module
from sonant.server.accounts.accounts import Accounts
from sonant.server.accounts.rate_limits import Rate
from sonant.server.accounts.tables import metadata
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


def test_an_unknown_address_takes_as_long_as_a_wrong_password(tmp_path, monkeypatch):
    """Each costs one argon2, or its time would tell who has an account."""

    async def work(accounts, _):
        checked = []
        hasher = accounts.users._passwords._hasher
        real = type(hasher).verify
        monkeypatch.setattr(
            type(hasher), "verify", lambda self, kept, given: checked.append(kept) or real(self, kept, given)
        )
        await accounts.users.create("robot@example.org", by="test")
        for email in ("ada@example.org", "bob@example.org", "robot@example.org", "no address"):
            await refused(accounts.users.check_password(email, "wrong password", address=HERE))
        return [kept.split("$")[:4] for kept in checked]

    kinds = on(ServerSettings(data=tmp_path), work)
    assert len(kinds) == 4
    assert all(kind == kinds[0] for kind in kinds)
    assert kinds[0][1] == "argon2id"


def test_an_account_without_a_password_takes_none(settings):
    async def work(accounts, _):
        await accounts.users.create("robot@example.org", by="test")
        for password in ("", "of nobody"):
            assert (await refused(accounts.users.check_password("robot@example.org", password, address=HERE)))[0] == 401

    on(settings, work)


@pytest.mark.parametrize(
    ("email", "password", "code"),
    [
        ("ada@example.org", PASSWORD, "email_taken"),
        ("ADA@EXAMPLE.ORG", PASSWORD, "email_taken"),
        ("ａｄａ@example.org", PASSWORD, "email_taken"),  # the same letters, wide ones
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


def test_attempts_are_throttled_and_good_ones_do_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ATTEMPTS", {"pair": Rate(3, 900), "address": Rate(6, 900), "email": Rate(100, 900)})

    async def work(accounts, _):
        def attempt(password, address=HERE, email="ada@example.org"):
            return accounts.users.check_password(email, password, address=address)

        for _ in range(5):
            await attempt(PASSWORD)
        for _ in range(3):
            assert (await refused(attempt("wrong password")))[0] == 401
        assert await refused(attempt(PASSWORD)) == (429, "too_many_attempts")
        await attempt(PASSWORD, address="192.0.2.2")  # a stranger elsewhere does not lock the owner out
        for i in range(3):
            await refused(attempt("wrong password", email=f"bob{i}@example.org"))
        assert (await refused(attempt("wrong password", email="eve@example.org")))[0] == 429

    on(ServerSettings(data=tmp_path), work)


def test_sign_ups_are_throttled(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SIGN_UPS", Rate(3, 3600))

    async def work(accounts, _):
        for i in range(2):
            await accounts.users.sign_up(f"bob{i}@example.org", PASSWORD, address=HERE)
        assert (await refused(accounts.users.sign_up("eve@example.org", PASSWORD, address=HERE)))[0] == 429
        await accounts.users.sign_up("eve@example.org", PASSWORD, address="192.0.2.2")

    on(ServerSettings(data=tmp_path), work)


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


def test_a_new_password_ends_all_sessions(settings):
    async def work(accounts, ada):
        session = await accounts.sessions.sign_in(ada.email, PASSWORD, address=HERE)
        assert (await refused(accounts.users.change_password(ada.id, "wrong", "another one here")))[0] == 401
        assert (await refused(accounts.users.change_password(ada.id, PASSWORD, "short")))[0] == 400
        assert await accounts.sessions.recognize(session.token) is not None
        await accounts.users.change_password(ada.id, PASSWORD, "another one here")
        assert await accounts.sessions.recognize(session.token) is None
        assert (await refused(accounts.users.check_password(ada.email, PASSWORD, address=HERE)))[0] == 401
        await accounts.users.check_password(ada.email, "another one here", address=HERE)

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

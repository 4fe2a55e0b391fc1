"""Passwords are checked, wrong ones are braked, and nobody can lock an owner out."""

import asyncio
import time

import pytest

from sonant.server.accounts import credentials as module
from sonant.server.accounts.accounts import Accounts
from sonant.server.accounts.passwords import Passwords
from sonant.server.accounts.rate_limits import Rate
from sonant.server.errors import ApiError
from sonant.server.settings import ServerSettings

PASSWORD = "four words in a row"
HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


def on(settings: ServerSettings, work):
    """Do something with the accounts of a server that has one user, ada."""

    async def main():
        async with Accounts(settings) as accounts:
            return await work(accounts, await accounts.users.create("ada@example.org", PASSWORD, by="test"))

    return asyncio.run(main())


async def status(awaitable) -> int:
    try:
        await awaitable
    except ApiError as error:
        return error.status
    return 200


async def lock_out(accounts, email="ada@example.org") -> None:
    """Guess the password from ever more addresses, until even the right one is refused."""
    for i in range(1000):
        if await status(accounts.credentials.check(email, "wrong password", address=f"203.0.113.{i}")) == 429:
            return
    pytest.fail("nothing brakes the guesses")


@pytest.fixture
def few(monkeypatch):
    rates = {"pair": Rate(3, 900), "network": Rate(6, 900), "email": Rate(12, 900)}
    monkeypatch.setattr(module, "ATTEMPTS", rates)
    monkeypatch.setattr(module, "KNOWN", Rate(3, 900))


def test_an_unknown_address_takes_as_long_as_a_wrong_password(tmp_path, monkeypatch):
    """Each costs one argon2, or its time would tell who has an account."""

    async def work(accounts, _):
        checked = []
        hasher = accounts._passwords._hasher
        real = type(hasher).verify
        monkeypatch.setattr(
            type(hasher), "verify", lambda self, kept, given: checked.append(kept) or real(self, kept, given)
        )
        await accounts.users.create("robot@example.org", by="test")
        for email in ("ada@example.org", "bob@example.org", "robot@example.org", "no address"):
            await status(accounts.credentials.check(email, "wrong password", address=HERE))
        return [kept.split("$")[:4] for kept in checked]

    kinds = on(ServerSettings(data=tmp_path), work)
    assert len(kinds) == 4
    assert all(kind == kinds[0] for kind in kinds)
    assert kinds[0][1] == "argon2id"


def test_an_account_without_a_password_takes_none(settings):
    async def work(accounts, _):
        await accounts.users.create("robot@example.org", by="test")
        for password in ("", "of nobody"):
            assert await status(accounts.credentials.check("robot@example.org", password, address=HERE)) == 401

    on(settings, work)


@pytest.mark.usefixtures("few")
def test_attempts_are_throttled_and_good_ones_do_not_count(tmp_path):
    async def work(accounts, _):
        def attempt(password, address=HERE, email="ada@example.org"):
            return status(accounts.credentials.check(email, password, address=address))

        assert [await attempt(PASSWORD) for _ in range(5)] == 5 * [200]
        assert [await attempt("wrong password") for _ in range(3)] == 3 * [401]
        assert await attempt(PASSWORD) == 429
        assert await attempt(PASSWORD, ELSEWHERE) == 200  # a stranger elsewhere does not lock the owner out
        assert [await attempt("wrong password", email=f"bob{i}@example.org") for i in range(3)] == 3 * [401]
        assert await attempt("wrong password", email="eve@example.org") == 429

    on(ServerSettings(data=tmp_path), work)


@pytest.mark.usefixtures("few")
def test_guesses_from_one_network_are_those_of_one(tmp_path):
    async def work(accounts, _):
        return [
            await status(accounts.credentials.check("ada@example.org", "wrong password", address=f"2001:db8::{i:x}"))
            for i in range(4)
        ]

    assert on(ServerSettings(data=tmp_path), work) == [401, 401, 401, 429]


@pytest.mark.usefixtures("few")
def test_a_device_that_has_signed_in_before_is_not_locked_out(settings):
    async def work(accounts, ada):
        new = await accounts.sessions.sign_in(ada.email, PASSWORD, address=HERE)
        await accounts.sessions.sign_out(new.token)
        await lock_out(accounts)

        def attempt(password, device):
            return status(accounts.credentials.check(ada.email, password, address=ELSEWHERE, device=device))

        assert await attempt(PASSWORD, "") == 429
        assert await attempt(PASSWORD, new.device) == 200
        guesses = [new.device[:-1] + ("0" if new.device[-1] != "0" else "1"), "x" + new.device, ".", "x."]
        assert [await attempt(PASSWORD, device) for device in guesses] == 4 * [429], "nobody can make such a cookie"
        assert [await attempt("wrong password", new.device) for _ in range(4)] == [401, 401, 401, 429]
        assert await attempt(PASSWORD, (await accounts.credentials.new_device(ada.id))) == 200, (
            "nor lock the others out"
        )

    on(settings, work)


@pytest.mark.usefixtures("few")
def test_nor_is_a_network_from_which_the_account_is_signed_in(tmp_path):
    async def work(accounts, ada):
        await accounts.sessions.sign_in(ada.email, PASSWORD, address="2001:db8:0:7::1")
        await lock_out(accounts)
        assert await status(accounts.credentials.check(ada.email, PASSWORD, address="2001:db8:0:7::2")) == 200
        assert await status(accounts.credentials.check(ada.email, PASSWORD, address="2001:db8:0:8::1")) == 429

    on(ServerSettings(data=tmp_path), work)


def test_the_device_of_one_account_is_none_of_another(tmp_path):
    async def work(accounts, ada):
        eve = await accounts.users.create("eve@example.org", PASSWORD, by="test")
        device = await accounts.credentials.new_device(eve.id)
        robot = await accounts.users.create("robot@example.org", by="test")
        assert await accounts.credentials.new_device(robot.id) is None
        await accounts.users.set_password(ada.id, "another password", by="test")
        found = await accounts._database.read(lambda connection: module._find(connection, ada.email))
        return module._is_proved(device, found.row)

    assert not on(ServerSettings(data=tmp_path), work)


def test_a_new_password_ends_sessions_and_devices(settings):
    async def work(accounts, ada):
        change = accounts.credentials.change
        session = await accounts.sessions.sign_in(ada.email, PASSWORD, address=HERE)
        assert await status(change(ada.id, "wrong", "another one here")) == 401
        assert await status(change(ada.id, PASSWORD, "short")) == 400
        assert await accounts.sessions.recognize(session.token) is not None
        await change(ada.id, PASSWORD, "another one here")
        assert await accounts.sessions.recognize(session.token) is None
        found = await accounts._database.read(lambda connection: module._find(connection, ada.email))
        assert not module._is_proved(session.device, found.row)
        assert await status(accounts.credentials.check(ada.email, PASSWORD, address=HERE)) == 401
        await accounts.credentials.check(ada.email, "another one here", address=HERE)

    on(settings, work)


@pytest.mark.usefixtures("few")
def test_who_is_signed_in_changes_the_password_whatever_strangers_do(tmp_path):
    async def work(accounts, ada):
        change = accounts.credentials.change
        await lock_out(accounts)
        assert [await status(change(ada.id, "wrong", "another one here")) for _ in range(2)] == [401, 401]
        assert await status(change(ada.id, PASSWORD, "another one here")) == 200
        guesses = [await status(change(ada.id, "wrong", "x")) for _ in range(4)]
        assert guesses == [401, 401, 401, 429]

    on(ServerSettings(data=tmp_path), work)


def test_strangers_who_wait_leave_room_for_others(tmp_path, monkeypatch):
    """A hash takes as long as many requests, so few may wait."""

    def slow(_, password, kept):
        time.sleep(0.02)
        return kept is not None and password == PASSWORD

    async def work(accounts, ada):
        monkeypatch.setattr(Passwords, "_fits", slow)
        device = await accounts.credentials.new_device(ada.id)
        flood = [
            asyncio.create_task(status(accounts.credentials.check("x@y.org", "x", address=f"203.0.113.{i % 40}")))
            for i in range(200)
        ]
        await asyncio.sleep(0.1)
        known = await status(accounts.credentials.check(ada.email, PASSWORD, address=ELSEWHERE, device=device))
        return known, set(await asyncio.gather(*flood))

    assert on(ServerSettings(data=tmp_path), work) == (200, {401, 429})

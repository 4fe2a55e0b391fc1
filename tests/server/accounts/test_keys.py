"""Keys: seen once, kept as a hash, refused at once when they end."""

import asyncio
import time

import pytest

from sonant.errors import UnknownName
from sonant.server.accounts import recent
from sonant.server.accounts.accounts import Accounts
from sonant.server.accounts.keys import API_SCOPES, MOST_KEYS, SCOPES, START
from sonant.server.errors import ApiError


def on(settings, work):
    async def main():
        async with Accounts(settings) as accounts:
            user = await accounts.users.create("ada@example.org", by="test")
            return await work(accounts, user)

    return asyncio.run(main())


def test_a_key_is_known_again(settings):
    async def work(accounts, user):
        new = await accounts.keys.create(user.id, " my  laptop ", by="test")
        found = await accounts.keys.recognize(new.secret)
        assert found.key == new.key
        assert (found.email, found.is_admin, found.is_disabled) == ("ada@example.org", False, False)
        return new, await accounts.keys.of(user.id), await accounts.keys.all()

    new, mine, everybodys = on(settings, work)
    assert new.secret.startswith(START)
    assert len(new.secret) - len(new.key.prefix) >= 256 / 6  # letters of six bits that nobody is shown
    assert new.secret.startswith(new.key.prefix)
    assert (new.key.name, new.key.scopes, new.key.state) == ("my laptop", set(API_SCOPES), "live")
    assert mine == everybodys == [new.key]


@pytest.mark.parametrize("secret", ["", "x", START, START + "x" * 48, START + "x" * 10_000, "sk-öäü"])
def test_no_other_is(secret, settings):
    async def work(accounts, user):
        await accounts.keys.create(user.id, "laptop", by="test")
        assert await accounts.keys.recognize(secret) is None

    on(settings, work)


def test_a_revoked_key_ends_here_at_once_and_elsewhere_soon(settings, monkeypatch):
    async def work(accounts, user):
        new = await accounts.keys.create(user.id, "laptop", by="test")
        async with Accounts(settings) as other:  # another process
            for each in (accounts, other):
                assert (await each.keys.recognize(new.secret)).key.state == "live"
            await accounts.keys.revoke(new.key.id, by="test")
            assert (await accounts.keys.recognize(new.secret)).key.state == "revoked"
            now = time.monotonic()
            monkeypatch.setattr(time, "monotonic", lambda: now + recent.SECONDS)
            assert (await other.keys.recognize(new.secret)).key.state == "revoked"

    on(settings, work)


def test_a_look_up_that_a_revocation_overtakes_is_not_remembered(settings):
    async def work(accounts, user):
        new = await accounts.keys.create(user.id, "laptop", by="test")
        read = accounts._database.read

        async def slow(job):
            found = await read(job)
            accounts._database.read = read
            await accounts.keys.revoke(new.key.id, by="test")
            return found

        accounts._database.read = slow
        await accounts.keys.recognize(new.secret)
        assert (await accounts.keys.recognize(new.secret)).key.state == "revoked"

    on(settings, work)


def test_a_key_is_looked_up_once_for_many_requests(settings):
    async def work(accounts, user):
        new = await accounts.keys.create(user.id, "laptop", by="test")
        first = await accounts.keys.recognize(new.secret)
        accounts._database.read = None  # whoever reads again fails
        for _ in range(10):
            assert await accounts.keys.recognize(new.secret) == first

    on(settings, work)


def test_a_key_expires_while_it_is_remembered(settings, monkeypatch):
    async def work(accounts, user):
        new = await accounts.keys.create(user.id, "laptop", expires=int(time.time()) + 2, by="test")
        assert (await accounts.keys.recognize(new.secret)).key.state == "live"
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 2)
        assert (await accounts.keys.recognize(new.secret)).key.state == "expired"

    on(settings, work)


def test_only_its_owner_revokes_a_key(settings):
    async def work(accounts, user):
        bob = await accounts.users.create("bob@example.org", by="test")
        new = await accounts.keys.create(user.id, "laptop", by="test")
        for user_id, key_id in ((bob.id, new.key.id), (user.id, 99)):
            with pytest.raises(ApiError) as refusal:
                await accounts.keys.revoke(key_id, user_id=user_id, by="bob")
            assert refusal.value.status == 404
        assert (await accounts.keys.of(user.id))[0].state == "live"
        await accounts.keys.revoke(new.key.id, user_id=user.id, by="ada")
        assert (await accounts.keys.of(user.id))[0].state == "revoked"

    on(settings, work)


@pytest.mark.parametrize(
    ("how", "param"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\x1b[31m"}, "name"),
        ({"scopes": []}, "scopes"),
        ({"expires": 1}, "expires"),
        ({"expires": 10**18}, "expires"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"audio_seconds_per_minute": float("nan")}, "audio_seconds_per_minute"),
    ],
)
def test_what_no_key_can_be(how, param, tmp_path):
    from sonant.server.settings import ServerSettings

    async def work(accounts, user):
        with pytest.raises(ApiError) as refusal:
            await accounts.keys.create(user.id, **{"name": "laptop", **how}, by="test")
        return refusal.value

    refusal = on(ServerSettings(data=tmp_path), work)
    assert (refusal.status, refusal.param) == (400, param)


def test_scopes(settings):
    async def work(accounts, user):
        with pytest.raises(UnknownName, match="Did you mean 'embeddings'"):
            await accounts.keys.create(user.id, "laptop", scopes=["embedings"], by="test")
        with pytest.raises(ApiError, match="no administrator") as refusal:
            await accounts.keys.create(user.id, "laptop", scopes=SCOPES, by="test")
        assert refusal.value.status == 403
        few = await accounts.keys.create(user.id, "laptop", scopes=["models", "embeddings"], by="test")
        assert few.key.scopes == {"models", "embeddings"}

    on(settings, work)


def test_there_is_an_end_of_keys(tmp_path):
    from sonant.server.settings import ServerSettings

    async def work(accounts, user):
        await asyncio.gather(*(accounts.keys.create(user.id, f"{i}", by="test") for i in range(MOST_KEYS)))
        with pytest.raises(ApiError, match="revoke one first"):
            await accounts.keys.create(user.id, "one more", by="test")
        await accounts.keys.revoke((await accounts.keys.of(user.id))[0].id, by="test")
        await accounts.keys.create(user.id, "one more", by="test")

    on(ServerSettings(data=tmp_path), work)


def test_the_last_use_is_written_with_others(settings):
    async def work(accounts, user):
        keys = [(await accounts.keys.create(user.id, f"{i}", by="test")).key for i in range(3)]
        for key in keys[:2] * 5:
            accounts.keys.used(key.id)
        assert [key.last_used for key in await accounts.keys.of(user.id)] == [None] * 3
        await accounts.keys.write_last_used()
        return [key.last_used for key in await accounts.keys.of(user.id)]

    newest, *others = on(settings, work)
    assert newest is None
    assert all(abs(at - time.time()) < 60 for at in others)


def test_the_first_admin_key_is_made_once(settings):
    async def work():
        async with Accounts(settings) as accounts:
            keys = await asyncio.gather(*(accounts.first_admin_key() for _ in range(4)))
            (secret,) = [key for key in keys if key is not None]
            holder = await accounts.keys.recognize(secret)
            assert (holder.email, holder.is_admin, holder.key.scopes) == ("admin@localhost", True, set(SCOPES))
            await accounts.keys.revoke(holder.key.id, by="test")
        async with Accounts(settings) as accounts:
            again = await accounts.first_admin_key()
            return again != secret, (await accounts.keys.recognize(again)).key.user_id == holder.key.user_id

    assert asyncio.run(work()) == (True, True)

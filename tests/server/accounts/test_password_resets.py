"""A forgotten password is replaced by a link, once; what asks for it learns nothing."""

import asyncio
import re

import pytest
from sqlalchemy import select, update

from sonant.server.accounts.accounts import Accounts
from sonant.server.accounts.tables import mailed_links
from sonant.server.errors import ApiError
from sonant.server.settings import Mail, ServerSettings

OLD, NEW = "four words in a row", "another four words here"
HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


class Sent:
    """In the place of the mailer."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []

    def send(self, to, subject, text):
        self.texts.append((to, text))

    def close(self):
        pass

    @property
    def token(self) -> str:
        link = r"^https://speech.example.org/reset-password\?token=(\S+)$"
        return re.search(link, self.texts[-1][1], re.MULTILINE)[1]


def on(settings, work):
    """Do something with the accounts of a server that sends mail, and one user, ada."""
    mail = Mail(host="mail.example.org", sender="sonant@example.org", site="https://speech.example.org")
    settings = ServerSettings(data=settings.data, database=settings.database, mail=mail)

    async def main():
        async with Accounts(settings) as accounts:
            accounts._links._mailer = sent = Sent()
            return await work(accounts, await accounts.users.create("ada@example.org", OLD, by="test"), sent)

    return asyncio.run(main())


async def ask(accounts, email="ada@example.org", address=HERE) -> None:
    accounts.password_resets.ask(email, address=address)
    await accounts.password_resets.settle()


async def code(awaitable) -> str | None:
    try:
        await awaitable
    except ApiError as error:
        return error.code
    return None


def test_a_new_password_ends_the_old_one_all_sessions_and_the_link(settings):
    async def work(accounts, ada, sent):
        new = await accounts.sessions.sign_in(ada.email, OLD, address=HERE)
        await ask(accounts, " ADA@example.org")
        assert [to for to, _ in sent.texts] == [ada.email]
        assert (await accounts.password_resets.find(sent.token)).id == ada.id
        assert await code(accounts.password_resets.reset(sent.token, "short", address=HERE)) == "weak_password"
        assert (await accounts.password_resets.reset(sent.token, NEW, address=ELSEWHERE)).id == ada.id
        assert await accounts.sessions.recognize(new.token) is None
        assert await code(accounts.sessions.sign_in(ada.email, OLD, address=HERE, device=new.device)) == (
            "invalid_credentials"
        )
        assert await code(accounts.sessions.sign_in(ada.email, NEW, address=HERE)) is None
        assert await code(accounts.password_resets.reset(sent.token, OLD, address=HERE)) == "link_ended"
        return [entry.action for entry in await accounts.audit.entries(target=ada.email)]

    assert {"password link sent", "password changed"} < set(on(settings, work))


def test_links_end(settings):
    """By time, by a newer one, by another change of the password; and one of another kind is none."""

    async def work(accounts, ada, sent):
        resets = accounts.password_resets
        await ask(accounts)
        first = sent.token
        await ask(accounts)
        for token in (first, "", "x" * 10_000, sent.token[:-1]):
            assert await code(resets.reset(token, NEW, address=HERE)) == "link_ended"
        assert await code(accounts.confirmations.confirm(sent.token, address=HERE)) == "link_ended"
        await accounts.users.set_password(ada.id, NEW, by="test")
        assert await code(resets.reset(sent.token, OLD, address=HERE)) == "link_ended"
        await ask(accounts)
        past = update(mailed_links).values(expires=1)
        await accounts._database.write(lambda connection: connection.execute(past).rowcount)
        assert await code(resets.reset(sent.token, OLD, address=HERE)) == "link_ended"
        await accounts._links.clear_expired()
        return await accounts._database.read(lambda connection: connection.execute(select(mailed_links)).all())

    assert on(settings, work) == []


def test_nothing_is_sent_to_others(settings):
    """To addresses without an account, accounts that are used by key only, and disabled ones."""

    async def work(accounts, _, sent):
        await accounts.users.create("robot@example.org", by="test")
        eve = await accounts.users.create("eve@example.org", OLD, by="test")
        await ask(accounts, eve.email)
        await accounts.users.set_disabled(eve.id, True, by="test")
        assert await code(accounts.password_resets.reset(sent.token, NEW, address=HERE)) == "account_disabled"
        for email in ("bob@example.org", "robot@example.org", eve.email, "no address", ""):
            await ask(accounts, email)
        assert len(sent.texts) == 1

    on(settings, work)


@pytest.mark.parametrize("email", ["ada@example.org", "bob@example.org"])
def test_neither_a_mailbox_nor_the_server_is_flooded_whether_there_is_an_account_or_not(settings, email):
    async def work(accounts, _, sent):
        async def told(email, address):
            try:
                await ask(accounts, email, address)
            except ApiError as error:
                return error.code
            return None

        assert [await told(email, f"198.51.100.{number}") for number in range(4)] == [None] * 3 + ["too_many_attempts"]
        assert [await told(f"{number}@example.org", HERE) for number in range(11)][9:] == [None, "too_many_attempts"]
        assert len(sent.texts) == (3 if email == "ada@example.org" else 0)

    on(settings, work)

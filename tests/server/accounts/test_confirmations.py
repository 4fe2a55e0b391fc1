"""Where mail is set up, the free credit comes with a confirmed address, once."""

import asyncio
import re
from decimal import Decimal

from sqlalchemy import update

from sonant.server.accounts.accounts import Accounts
from sonant.server.accounts.tables import mailed_links
from sonant.server.errors import ApiError
from sonant.server.settings import Mail, ServerSettings

PASSWORD = "four words in a row"
HERE = "192.0.2.1"


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
        return re.search(r"^https://speech.example.org/confirm\?token=(\S+)$", self.texts[-1][1], re.MULTILINE)[1]


def on(settings, work):
    """Do something with the accounts of a server that sends mail, and one user, ada, who has just signed up."""
    mail = Mail(host="mail.example.org", sender="sonant@example.org", site="https://speech.example.org")
    settings = ServerSettings(data=settings.data, database=settings.database, mail=mail)

    async def main():
        async with Accounts(settings) as accounts:
            accounts._links._mailer = sent = Sent()
            ada = await accounts.users.sign_up("ada@example.org", PASSWORD, address=HERE)
            await accounts.confirmations.ask(ada)
            return await work(accounts, ada, sent)

    return asyncio.run(main())


async def code(awaitable) -> str | None:
    try:
        await awaitable
    except ApiError as error:
        return error.code
    return None


def test_the_credit_comes_with_the_confirmation_once(settings):
    async def work(accounts, ada, sent):
        assert ada.credit == 0
        assert [to for to, _ in sent.texts] == ["ada@example.org"]
        token = sent.token
        assert (await accounts.confirmations.find(token)).id == ada.id
        assert await accounts.confirmations.confirm(token, address=HERE) == 5
        assert await code(accounts.confirmations.confirm(token, address=HERE)) == "link_ended"
        await accounts.confirmations.ask(ada)
        assert await accounts.confirmations.confirm(sent.token, address=HERE) == 0
        return await accounts.credit.of(ada.id)

    assert on(settings, work) == Decimal(5)


def test_only_the_newest_link_works_and_no_other_text(settings):
    async def work(accounts, ada, sent):
        first = sent.token
        await accounts.confirmations.ask(ada)
        for token in (first, "", "x" * 10_000, sent.token[:-1]):
            assert await code(accounts.confirmations.confirm(token, address=HERE)) == "link_ended"
        return await accounts.confirmations.confirm(sent.token, address=HERE)

    assert on(settings, work) == 5


def test_a_link_ends(settings):
    async def work(accounts, _, sent):
        past = update(mailed_links).values(expires=1)
        await accounts._database.write(lambda connection: connection.execute(past).rowcount)
        assert await code(accounts.confirmations.confirm(sent.token, address=HERE)) == "link_ended"
        await accounts._links.clear_expired()

    on(settings, work)


def test_another_account_of_a_mailbox_gets_none(settings):
    async def work(accounts, _, sent):
        await accounts.confirmations.confirm(sent.token, address=HERE)
        tagged = await accounts.users.sign_up("ada+2@example.org", PASSWORD, address="192.0.2.2")
        await accounts.confirmations.ask(tagged)
        return await accounts.confirmations.confirm(sent.token, address="192.0.2.2")

    assert on(settings, work) == 0


def test_nobody_is_flooded_with_messages(settings):
    async def work(accounts, ada, sent):
        told = [await code(accounts.confirmations.ask(ada)) for _ in range(4)]
        assert told == [None, None, "too_many_attempts", "too_many_attempts"]
        assert len(sent.texts) == 3

    on(settings, work)


def test_without_mail_nobody_is_asked(tmp_path):
    async def main():
        async with Accounts(ServerSettings(data=tmp_path)) as accounts:
            ada = await accounts.users.sign_up("ada@example.org", PASSWORD, address=HERE)
            await accounts.confirmations.ask(ada)
            return ada.credit, accounts.confirmations.are_required

    assert asyncio.run(main()) == (5, False)

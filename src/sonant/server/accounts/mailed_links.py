"""Links that are sent to the e-mail addresses of accounts: they work once, and for a time."""

import secrets
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection, delete, insert, select

from sonant.server.accounts.database import Database
from sonant.server.accounts.keys import digest_of
from sonant.server.accounts.tables import mailed_links
from sonant.server.accounts.users import User, Users
from sonant.server.errors import ApiError
from sonant.server.mail import Mailer
from sonant.server.settings import Mail


@dataclass(frozen=True, kw_only=True)
class LinkKind:
    """A purpose of links.

    Attributes:
        name: in the database.
        path: of the page that the link opens.
        seconds: for which it works.
        subject, text: of the message; the text has fields for `site` and `link`.
    """

    name: str
    path: str
    seconds: float
    subject: str
    text: str


class MailedLinks:
    """Makes links with random tokens, whose digests are kept, sends them, and ends them."""

    def __init__(self, database: Database, settings: Mail, users: Users) -> None:
        self._database, self._users, self._site = database, users, settings.site
        self._mailer = Mailer(settings) if settings.host is not None else None

    @property
    def are_sent(self) -> bool:
        """True if mail is set up."""
        return self._mailer is not None

    def close(self) -> None:
        if self._mailer is not None:
            self._mailer.close()

    async def send(self, user: User, kind: LinkKind) -> None:
        """Send a user a link, if mail is set up; earlier ones of its kind end."""
        if self._mailer is None:
            return
        token, now = secrets.token_urlsafe(32), int(time.time())
        row = {"digest": digest_of(token), "kind": kind.name, "user_id": user.id, "expires": now + int(kind.seconds)}
        earlier = delete(mailed_links).where(mailed_links.c.user_id == user.id, mailed_links.c.kind == kind.name)

        def replace(connection: Connection) -> None:
            connection.execute(earlier)
            connection.execute(insert(mailed_links), row)

        await self._database.write(replace)
        link = f"{self._site}{kind.path}?{urlencode({'token': token})}"
        self._mailer.send(user.email, kind.subject, kind.text.format(site=self._site, link=link))

    async def find(self, token: str, kind: LinkKind) -> User:
        """Return the user whom a link was sent to. Raises ApiError 400: it has ended."""
        query = select(mailed_links.c.user_id).where(*_live(token, kind))
        user_id = await self._database.read(lambda connection: connection.execute(query).scalar())
        if user_id is None:
            raise ended()
        return await self._users.get(user_id)

    async def clear_expired(self) -> None:
        """Delete links that have ended."""
        gone = delete(mailed_links).where(mailed_links.c.expires <= time.time())
        await self._database.write(lambda connection: connection.execute(gone).rowcount)


def use(connection: Connection, token: str, kind: LinkKind) -> None:
    """End a link, in the transaction of what it is for. Raises ApiError 400: it has ended before."""
    if connection.execute(delete(mailed_links).where(*_live(token, kind))).rowcount != 1:
        raise ended()


def ended() -> ApiError:
    return ApiError(
        400, "link_ended", "This link has been used, or has ended, or a newer one was sent: ask for another."
    )


def _live(token: str, kind: LinkKind) -> tuple[Any, ...]:
    links = mailed_links.c
    return links.digest == digest_of(token), links.kind == kind.name, links.expires > time.time()

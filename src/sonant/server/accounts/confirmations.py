"""Confirmation of e-mail addresses by a link, with which a new account gets its free credit."""

import secrets
import time
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection, delete, insert, select

from sonant.server.accounts.audit import note
from sonant.server.accounts.credit import give
from sonant.server.accounts.database import Database
from sonant.server.accounts.email_addresses import mailbox
from sonant.server.accounts.free_credit import WITH_THE_ACCOUNT, brakes_on_credit, claim, has_had
from sonant.server.accounts.keys import digest_of
from sonant.server.accounts.passwords import Passwords
from sonant.server.accounts.rate_limits import DAY, Rate, RateLimits
from sonant.server.accounts.tables import confirmations
from sonant.server.accounts.users import User, Users
from sonant.server.errors import ApiError
from sonant.server.mail import Mailer
from sonant.server.settings import ServerSettings

PER_ACCOUNT = Rate(3, DAY)  # messages
LIFE_SECONDS = 3 * DAY
TEXT = """\
An account with this e-mail address was made at {site}, probably by you.
To confirm the address, open this page within three days:

{link}

If it was not you, do nothing: without the confirmation the account gets no credit.
"""


class Confirmations:
    """Asks users to confirm their addresses, by mail, and gives the free credit to those who do."""

    def __init__(
        self,
        database: Database,
        settings: ServerSettings,
        users: Users,
        passwords: Passwords,
        limits: RateLimits,
    ) -> None:
        self._database, self._users, self._passwords, self._limits = database, users, passwords, limits
        self._site, self._credit = settings.mail.site, settings.accounts.free_credit
        self._mailer = Mailer(settings.mail) if settings.mail.host is not None else None

    @property
    def are_required(self) -> bool:
        """True if the free credit takes a confirmed address: mail is set up."""
        return self._mailer is not None

    def close(self) -> None:
        if self._mailer is not None:
            self._mailer.close()

    async def ask(self, user: User) -> None:
        """Send a user a link, if mail is set up; earlier ones end. Raises ApiError 429: too many messages."""
        if self._mailer is None:
            return
        self._limits.count_attempt({f"confirmation of {user.id}": PER_ACCOUNT})
        token, now = secrets.token_urlsafe(32), int(time.time())
        row = {"digest": digest_of(token), "user_id": user.id, "expires": now + int(LIFE_SECONDS)}

        def replace(connection: Connection) -> None:
            connection.execute(delete(confirmations).where(confirmations.c.user_id == user.id))
            connection.execute(insert(confirmations), row)

        await self._database.write(replace)
        link = f"{self._site}/confirm?{urlencode({'token': token})}"
        self._mailer.send(user.email, "Confirm your e-mail address", TEXT.format(site=self._site, link=link))

    async def find(self, token: str) -> User:
        """Return the user whom a link was sent to. Raises ApiError 400: it has ended."""
        query = select(confirmations.c.user_id).where(*_live(token))
        user_id = await self._database.read(lambda connection: connection.execute(query).scalar())
        if user_id is None:
            raise ended()
        return await self._users.get(user_id)

    async def confirm(self, token: str, *, address: str) -> Decimal:
        """Confirm the address that a link was sent to, and return the credit that its account gets for that.

        Raises ApiError 400: the link has ended.
        """
        user = await self.find(token)
        mark = await self._passwords.digest(mailbox(user.email))
        is_due = self._credit > 0 and self._limits.take(brakes_on_credit(address)) is None

        def confirm(connection: Connection) -> Decimal:
            if connection.execute(delete(confirmations).where(*_live(token))).rowcount != 1:
                raise ended()
            note(connection, "address confirmed", by=user.email, target=user.email, address=address)
            if not is_due or has_had(connection, user.id) or not claim(connection, mark):
                return Decimal(0)
            give(connection, user.id, self._credit, reason=WITH_THE_ACCOUNT, by=user.email)
            return self._credit

        return await self._database.write(confirm)

    async def clear_expired(self) -> None:
        """Delete links that have ended."""
        gone = delete(confirmations).where(confirmations.c.expires <= time.time())
        await self._database.write(lambda connection: connection.execute(gone).rowcount)


def ended() -> ApiError:
    return ApiError(
        400, "confirmation_ended", "This link has been used, or has ended: ask for another on your account."
    )


def _live(token: str) -> tuple[Any, ...]:
    return confirmations.c.digest == digest_of(token), confirmations.c.expires > time.time()

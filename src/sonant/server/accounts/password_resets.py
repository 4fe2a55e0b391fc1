"""New passwords for users who forgot theirs, by a link that is sent to their e-mail address."""

import asyncio
import logging

from sqlalchemy import select

from sonant.server.accounts.audit import UNKNOWN, Audit
from sonant.server.accounts.database import Database
from sonant.server.accounts.email_addresses import known_form
from sonant.server.accounts.mailed_links import LinkKind, MailedLinks, use
from sonant.server.accounts.rate_limits import Rate, RateLimits
from sonant.server.accounts.tables import PASSWORD_RESET, users
from sonant.server.accounts.users import User, Users, as_user, disabled
from sonant.server.networks import network_of

PER_NETWORK, PER_EMAIL = Rate(10, 3600), Rate(3, 3600)  # messages
RESET = LinkKind(
    name=PASSWORD_RESET,
    path="/reset-password",
    seconds=3600,
    subject="A new password",
    text="""\
A new password was asked for at {site}, probably by you.
To choose one, open this page within an hour:

{link}

If it was not you, do nothing: the old password stays.
""",
)

logger = logging.getLogger(__name__)


class PasswordResets:
    """Sends links to users who forgot their passwords, and sets the new ones."""

    def __init__(self, database: Database, links: MailedLinks, users: Users, audit: Audit, limits: RateLimits) -> None:
        self._database, self._links, self._users, self._audit, self._limits = database, links, users, audit, limits
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def are_sent(self) -> bool:
        """True if mail is set up."""
        return self._links.are_sent

    def ask(self, email: str, *, address: str) -> None:
        """Send a link to an e-mail address if it has an account with a password.

        That is done later, so that neither the answer nor its time tells whether there is one.
        Raises ApiError 429: too many messages to this e-mail address, or asked for from this network.
        """
        email, network = known_form(email), network_of(address)
        self._limits.count_attempt({f"reset from {network}": PER_NETWORK, f"reset of {email}": PER_EMAIL})
        task = asyncio.create_task(self._send(email, address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def find(self, token: str) -> User:
        """Return the user whom a link was sent to. Raises ApiError 400: it has ended."""
        return await self._links.find(token, RESET)

    async def reset(self, token: str, password: str, *, address: str) -> User:
        """Set the password of the user whom a link was sent to, and end all sessions and links of the kind.

        Raises ApiError 400: the link has ended, or the password is too short. 403: disabled account.
        """
        user = await self.find(token)
        if user.is_disabled:
            raise disabled()
        await self._users.set_password(
            user.id, password, by=user.email, address=address, first=lambda connection: use(connection, token, RESET)
        )
        return user

    async def settle(self) -> None:
        """Wait for messages that are being written."""
        await asyncio.gather(*self._tasks)

    async def _send(self, email: str, address: str) -> None:
        query = select(users).where(users.c.email == email, users.c.password_hash.is_not(None), ~users.c.is_disabled)
        try:
            row = await self._database.read(lambda connection: connection.execute(query).one_or_none())
            if row is not None:
                await self._links.send(as_user(row), RESET)
                await self._audit.record("password link sent", by=UNKNOWN, target=row.email, address=address)
        except Exception:
            logger.exception("a link for a new password could not be sent")

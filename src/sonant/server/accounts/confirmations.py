"""Confirmation of e-mail addresses by a link, with which a new account gets its free credit."""

from decimal import Decimal

from sqlalchemy import Connection

from sonant.server.accounts.audit import note
from sonant.server.accounts.credit import give
from sonant.server.accounts.database import Database
from sonant.server.accounts.email_addresses import mailbox
from sonant.server.accounts.free_credit import WITH_THE_ACCOUNT, brakes_on_credit, claim, has_had
from sonant.server.accounts.mailed_links import LinkKind, MailedLinks, use
from sonant.server.accounts.passwords import Passwords
from sonant.server.accounts.rate_limits import DAY, Rate, RateLimits
from sonant.server.accounts.users import User

PER_ACCOUNT = Rate(3, DAY)  # messages
CONFIRMATION = LinkKind(
    name="confirmation",
    path="/confirm",
    seconds=3 * DAY,
    subject="Confirm your e-mail address",
    text="""\
An account with this e-mail address was made at {site}, probably by you.
To confirm the address, open this page within three days:

{link}

If it was not you, do nothing: without the confirmation the account gets no credit.
""",
)


class Confirmations:
    """Asks users to confirm their addresses, by mail, and gives the free credit to those who do."""

    def __init__(
        self, database: Database, links: MailedLinks, passwords: Passwords, limits: RateLimits, *, free_credit: Decimal
    ) -> None:
        self._database, self._links, self._passwords, self._limits = database, links, passwords, limits
        self._credit = free_credit

    @property
    def are_required(self) -> bool:
        """True if the free credit takes a confirmed address: mail is set up."""
        return self._links.are_sent

    async def ask(self, user: User) -> None:
        """Send a user a link, if mail is set up; earlier ones end. Raises ApiError 429: too many messages."""
        if self._links.are_sent:
            self._limits.count_attempt({f"confirmation of {user.id}": PER_ACCOUNT})
            await self._links.send(user, CONFIRMATION)

    async def find(self, token: str) -> User:
        """Return the user whom a link was sent to. Raises ApiError 400: it has ended."""
        return await self._links.find(token, CONFIRMATION)

    async def confirm(self, token: str, *, address: str) -> Decimal:
        """Confirm the address that a link was sent to, and return the credit that its account gets for that.

        Raises ApiError 400: the link has ended.
        """
        user = await self.find(token)
        mark = await self._passwords.digest(mailbox(user.email))
        is_due = self._credit > 0 and self._limits.take(brakes_on_credit(address)) is None

        def confirm(connection: Connection) -> Decimal:
            use(connection, token, CONFIRMATION)
            note(connection, "address confirmed", by=user.email, target=user.email, address=address)
            if not is_due or has_had(connection, user.id) or not claim(connection, mark):
                return Decimal(0)
            give(connection, user.id, self._credit, reason=WITH_THE_ACCOUNT, by=user.email)
            return self._credit

        return await self._database.write(confirm)

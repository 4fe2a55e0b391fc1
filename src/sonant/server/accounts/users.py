"""User accounts."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from sonant.server.accounts.audit import erase, note
from sonant.server.accounts.credit import from_units, give
from sonant.server.accounts.database import Database
from sonant.server.accounts.email_addresses import invalid_email, known_form, mailbox, normalized
from sonant.server.accounts.free_credit import WITH_THE_ACCOUNT, brakes_on_credit, claim, has_had
from sonant.server.accounts.passwords import Passwords
from sonant.server.accounts.rate_limits import DAY, Rate, RateLimits
from sonant.server.accounts.tables import PASSWORD_RESET, grants, mailed_links, sessions, users
from sonant.server.errors import ApiError
from sonant.server.networks import network_of
from sonant.server.settings import AccountRules

SIGN_UPS = (Rate(20, 3600), Rate(40, DAY))  # of one network


@dataclass(frozen=True)
class User:
    """A user account.

    Attributes:
        credit: what is neither spent nor held.
        created: unix seconds.
    """

    id: int
    email: str
    is_admin: bool
    is_disabled: bool
    credit: Decimal
    created: int


class Users:
    """Creates, finds, changes and deletes accounts.

    `confirms`: whether the free credit takes a confirmed address. `forget(user_id)` is called when cached facts about a
    user become invalid.
    """

    def __init__(
        self,
        database: Database,
        rules: AccountRules,
        passwords: Passwords,
        limits: RateLimits,
        *,
        confirms: bool,
        forget: Callable[[int], None],
    ) -> None:
        self._database, self._rules, self._passwords, self._confirms = database, rules, passwords, confirms
        self._limits, self._forget = limits, forget

    async def sign_up(self, email: str, password: str, *, address: str) -> User:
        """Create an account for a visitor, with the free credit unless its mailbox or network has had it.

        Where addresses are confirmed there is no credit before that.

        Raises ApiError 403: sign-up is disabled. 400: invalid or known e-mail address, or password too short. 429: too
        many sign-ups from this network.
        """
        if not self._rules.sign_up:
            raise ApiError(403, "sign_up_closed", "Accounts are made by the operator of this server: ask them for one.")
        email = normalized(email)
        if email.endswith("@localhost"):  # as for the first administrator
            raise invalid_email(email)
        network = network_of(address)
        self._limits.count_attempt({f"sign-up {rate.seconds:g} {network}": rate for rate in SIGN_UPS})
        password_hash = await self._passwords.hash(password, email=email, sender=network)
        mark, brakes = await self._passwords.digest(mailbox(email)), brakes_on_credit(address)
        is_due = not self._confirms and self._rules.free_credit > 0 and self._limits.take(brakes) is None

        def create(connection: Connection) -> User:
            credit = self._rules.free_credit if is_due and claim(connection, mark) else Decimal(0)
            return add(connection, email, password_hash, is_admin=False, credit=credit, by=email, address=address)

        return await self._create(email, create)

    async def create(
        self,
        email: str,
        password: str | None = None,
        *,
        is_admin: bool = False,
        credit: Decimal | None = None,
        by: str,
        address: str = "",
    ) -> User:
        """Create an account, by default with the free credit; without a password it can be used by key only.

        Raises ApiError 400: invalid or known e-mail address, or password too short.
        """
        email = normalized(email)
        password_hash = None if password is None else await self._passwords.hash(password, email=email)
        mark = await self._passwords.digest(mailbox(email)) if credit is None else None

        def create(connection: Connection) -> User:
            amount = self._rules.free_credit if credit is None else credit
            if mark is not None:
                claim(connection, mark)
            return add(connection, email, password_hash, is_admin=is_admin, credit=amount, by=by, address=address)

        return await self._create(email, create)

    async def _create(self, email: str, create: Callable[[Connection], User]) -> User:
        try:
            return await self._database.write(create)
        except IntegrityError as error:
            raise ApiError(
                400, "email_taken", f"{email} has an account already: sign in, or take another address.", param="email"
            ) from error

    async def get(self, user_id: int) -> User:
        """Return a user by id. Raises ApiError 404: unknown user."""
        return await self._database.read(lambda connection: as_user(_row(connection, user_id)))

    async def find(self, email: str) -> User | None:
        """Find a user by e-mail address."""
        query = select(users).where(users.c.email == known_form(email))
        row = await self._database.read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else as_user(row)

    async def search(self, text: str = "", *, limit: int = 100, after: int = 0) -> list[User]:
        """Find users whose e-mail address contains a text, ordered by id, from the id `after` on."""
        query = select(users).where(users.c.id > after).order_by(users.c.id).limit(limit)
        if text:
            query = query.where(users.c.email.contains(text.strip().casefold(), autoescape=True))
        return await self._database.read(lambda connection: [as_user(row) for row in connection.execute(query)])

    async def set_disabled(self, user_id: int, disabled: bool, *, by: str, address: str = "") -> None:  # noqa: FBT001
        """Disable an account, with its keys and sessions, or enable it again.

        Raises ApiError 404: unknown user. 400: the last administrator.
        """
        action = "user disabled" if disabled else "user enabled"
        await self._change(user_id, {"is_disabled": disabled}, action, by=by, address=address)

    async def set_admin(self, user_id: int, admin: bool, *, by: str, address: str = "") -> None:  # noqa: FBT001
        """Grant or revoke the administrator role.

        Raises ApiError 404: unknown user. 400: the last administrator.
        """
        action = "administrator made" if admin else "administrator unmade"
        await self._change(user_id, {"is_admin": admin}, action, by=by, address=address)

    async def set_password(
        self,
        user_id: int,
        password: str,
        *,
        by: str,
        address: str = "",
        first: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        """Set the password of a user, and end all sessions and links to a new password.

        `first` runs before that, in the same transaction.
        Raises ApiError 404: unknown user. 400: password too short.
        """
        kept = await self._passwords.hash(password, email=(await self.get(user_id)).email)
        values = {"password_hash": kept}
        await self._change(user_id, values, "password changed", by=by, address=address, first=first)

    async def delete(self, user_id: int, *, by: str, address: str = "") -> None:
        """Delete an account with its keys, sessions, votes, voices and credit; its usage records become anonymous.

        In the audit log, and where it gave credit as an administrator, "former user" and its number take the place of
        its e-mail address. A hash of its mailbox is kept if it had free credit, so that a new account gets none.
        Raises ApiError 404: unknown user. 400: the last administrator.
        """
        mark = await self._passwords.digest(mailbox((await self.get(user_id)).email))

        def remove(connection: Connection) -> None:
            row = _row(connection, user_id)
            if has_had(connection, user_id):
                claim(connection, mark)  # an account of an earlier version is not remembered yet
            connection.execute(delete(users).where(users.c.id == user_id))
            _keep_an_admin(connection, row)
            note(connection, "user deleted", by=by, target=row.email, address=address)
            pseudonym = f"former user {user_id}"
            erase(connection, row.email, pseudonym)
            connection.execute(update(grants).where(grants.c.actor == row.email).values(actor=pseudonym))

        await self._database.write(remove)
        self._forget(user_id)

    async def _change(
        self,
        user_id: int,
        values: dict[str, Any],
        action: str,
        *,
        by: str,
        address: str,
        first: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        def change(connection: Connection) -> None:
            first(connection)
            row = _row(connection, user_id)
            connection.execute(update(users).where(users.c.id == user_id), values)
            if "password_hash" in values:
                connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
                links = mailed_links.c
                connection.execute(delete(mailed_links).where(links.user_id == user_id, links.kind == PASSWORD_RESET))
            _keep_an_admin(connection, row)
            note(connection, action, by=by, target=row.email, address=address)

        await self._database.write(change)
        self._forget(user_id)


def add(
    connection: Connection,
    email: str,
    password_hash: str | None,
    *,
    is_admin: bool,
    credit: Decimal,
    by: str,
    address: str = "",
) -> User:
    """Insert a new user. Raises IntegrityError: the e-mail address has an account."""
    created = int(time.time())
    row = {"email": email, "password_hash": password_hash, "is_admin": is_admin, "is_disabled": False, "credit": 0}
    user_id = connection.execute(insert(users).returning(users.c.id), {**row, "created": created}).scalar_one()
    note(connection, "user made", by=by, target=email, detail="administrator" if is_admin else "", address=address)
    if credit:
        credit = give(connection, user_id, credit, reason=WITH_THE_ACCOUNT, by=by)
    return User(user_id, email, is_admin, is_disabled=False, credit=credit, created=created)


def disabled() -> ApiError:
    return ApiError(403, "account_disabled", "This account is disabled: ask the operator of this server.")


def as_user(row: Any) -> User:
    """Convert a row of the table to a user."""
    return User(row.id, row.email, row.is_admin, row.is_disabled, from_units(row.credit), row.created)


def _row(connection: Connection, user_id: int) -> Any:
    row = connection.execute(select(users).where(users.c.id == user_id)).one_or_none()
    if row is None:
        raise ApiError(404, "user_not_found", f"There is no user {user_id}.")
    return row


def _keep_an_admin(connection: Connection, before: Any) -> None:
    """Check that an administrator is left after a change. Raises ApiError 400 otherwise."""
    count = select(func.count()).where(users.c.is_admin, ~users.c.is_disabled).select_from(users)
    if before.is_admin and not before.is_disabled and connection.execute(count).scalar_one() == 0:
        raise ApiError(400, "last_administrator", f"{before.email} is the last administrator: make another one first.")

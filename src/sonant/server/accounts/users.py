"""User accounts."""

import re
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from sonant.server.accounts.audit import Audit, note
from sonant.server.accounts.credit import from_units, give
from sonant.server.accounts.database import Database
from sonant.server.accounts.passwords import Passwords
from sonant.server.accounts.rate_limits import Rate, RateLimits
from sonant.server.accounts.tables import sessions, users
from sonant.server.errors import ApiError
from sonant.server.settings import AccountRules

SIGN_UPS = Rate(20, 3600)  # sign-ups from one network address
ATTEMPTS = {"pair": Rate(10, 900), "address": Rate(50, 900), "email": Rate(200, 3600)}  # failed sign-ins


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

    `forget(user_id)` is called when cached facts about a user become invalid.
    """

    def __init__(
        self,
        database: Database,
        rules: AccountRules,
        audit: Audit,
        limits: RateLimits,
        *,
        forget: Callable[[int], None],
    ) -> None:
        self._database, self._rules, self._audit, self._limits, self._forget = database, rules, audit, limits, forget
        self._passwords = Passwords()

    def close(self) -> None:
        self._passwords.close()

    async def sign_up(self, email: str, password: str, *, address: str) -> User:
        """Create an account for a visitor.

        Raises ApiError 403: sign-up is disabled. 400: invalid or known e-mail address, or password too short. 429: too
        many sign-ups from this network address.
        """
        if not self._rules.sign_up:
            raise ApiError(403, "sign_up_closed", "Accounts are made by the operator of this server: ask them for one.")
        email = normalized(email)
        if email.endswith("@localhost"):  # as for the first administrator
            raise invalid_email(email)
        wait = self._limits.wait(f"sign-up {address}", SIGN_UPS)
        if wait is not None:
            raise too_many_attempts(wait)
        return await self.create(email, password, by=email, address=address)

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
        credit = self._rules.free_credit if credit is None else credit

        def create(connection: Connection) -> User:
            return add(connection, email, password_hash, is_admin=is_admin, credit=credit, by=by, address=address)

        try:
            return await self._database.write(create)
        except IntegrityError as error:
            raise ApiError(
                400, "email_taken", f"{email} has an account already: sign in, or take another address.", param="email"
            ) from error

    async def check_password(self, email: str, password: str, *, address: str) -> User:
        """Return the user with this e-mail address and password.

        Raises ApiError 401: wrong e-mail address or password. 403: disabled account. 429: too many attempts.
        """
        email = unicodedata.normalize("NFKC", email).strip().casefold()[:254]
        names = {"pair": f"sign-in {email} {address}", "address": f"sign-in {address}", "email": f"sign-in to {email}"}
        for kind, rate in ATTEMPTS.items():
            wait = self._limits.wait(names[kind], rate)
            if wait is not None:
                raise too_many_attempts(wait)
        row = await self._database.read(
            lambda connection: connection.execute(select(users).where(users.c.email == email)).one_or_none()
        )
        if not await self._passwords.fits(password, None if row is None else row.password_hash) or row is None:
            # The e-mail field of an unknown account may contain a password, so it is not logged.
            await self._audit.record("sign-in failed", by="unknown", target=row.email if row else "", address=address)
            raise ApiError(
                401, "invalid_credentials", "No account has this e-mail address and this password: check both."
            )
        for name in names.values():  # successes do not count
            self._limits.give_back(name)
        if row.is_disabled:
            await self._audit.record("sign-in refused", by=email, target=email, detail="disabled", address=address)
            raise disabled()
        return _user(row)

    async def get(self, user_id: int) -> User:
        """Return a user by id. Raises ApiError 404: unknown user."""
        return await self._database.read(lambda connection: _user(_row(connection, user_id)))

    async def find(self, email: str) -> User | None:
        """Find a user by e-mail address."""
        query = select(users).where(users.c.email == unicodedata.normalize("NFKC", email).strip().casefold())
        row = await self._database.read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else _user(row)

    async def search(self, text: str = "", *, limit: int = 100, after: int = 0) -> list[User]:
        """Find users whose e-mail address contains a text, ordered by id, from the id `after` on."""
        query = select(users).where(users.c.id > after).order_by(users.c.id).limit(limit)
        if text:
            query = query.where(users.c.email.contains(text.strip().casefold(), autoescape=True))
        return await self._database.read(lambda connection: [_user(row) for row in connection.execute(query)])

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

    async def set_password(self, user_id: int, password: str, *, by: str, address: str = "") -> None:
        """Set the password of a user, and end all sessions.

        Raises ApiError 404: unknown user. 400: password too short.
        """
        kept = await self._passwords.hash(password, email=(await self.get(user_id)).email)
        await self._change(user_id, {"password_hash": kept}, "password changed", by=by, address=address)

    async def change_password(self, user_id: int, old: str, new: str, *, address: str = "") -> None:
        """Change the password of a user, given the old one; the user has to sign in again.

        Raises ApiError 401: wrong old password. 400: new password too short. 429: too many attempts.
        """
        user = await self.get(user_id)
        await self.check_password(user.email, old, address=address)
        await self.set_password(user_id, new, by=user.email, address=address)

    async def delete(self, user_id: int, *, by: str, address: str = "") -> None:
        """Delete an account with its keys, sessions, votes and credit; its usage records become anonymous.

        Raises ApiError 404: unknown user. 400: the last administrator.
        """

        def remove(connection: Connection) -> None:
            row = _row(connection, user_id)
            connection.execute(delete(users).where(users.c.id == user_id))
            _keep_an_admin(connection, row)
            note(connection, "user deleted", by=by, target=row.email, address=address)

        await self._database.write(remove)
        self._forget(user_id)

    async def _change(self, user_id: int, values: dict[str, Any], action: str, *, by: str, address: str) -> None:
        def change(connection: Connection) -> None:
            row = _row(connection, user_id)
            connection.execute(update(users).where(users.c.id == user_id), values)
            if "password_hash" in values:
                connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
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
        credit = give(connection, user_id, credit, reason="with the account", by=by)
    return User(user_id, email, is_admin, is_disabled=False, credit=credit, created=created)


def normalized(email: str) -> str:
    """Normalize an e-mail address to lower case. Raises ApiError 400: invalid address."""
    kept = unicodedata.normalize("NFKC", email).strip().casefold()
    if len(kept) > 254 or not re.fullmatch(r"[^@\s,;<>]+@(localhost|[\w-]+(\.[\w-]+)+)", kept):
        raise invalid_email(email)
    return kept


def invalid_email(given: str) -> ApiError:
    return ApiError(
        400,
        "invalid_email",
        f"{given[:100]!r} is no e-mail address; expected one such as you@example.org.",
        param="email",
    )


def disabled() -> ApiError:
    return ApiError(403, "account_disabled", "This account is disabled: ask the operator of this server.")


def too_many_attempts(wait: float) -> ApiError:
    minutes = max(1, round(wait / 60))
    return ApiError(429, "too_many_attempts", f"Too many attempts: try again in {minutes} min.", retry_after=wait)


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


def _user(row: Any) -> User:
    return User(row.id, row.email, row.is_admin, row.is_disabled, from_units(row.credit), row.created)

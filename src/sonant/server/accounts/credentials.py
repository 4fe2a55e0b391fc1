"""Passwords of accounts: checked and changed, with brakes on attempts that lock no owner out."""

import hmac
import secrets
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from sonant.server.accounts.audit import UNKNOWN, Audit
from sonant.server.accounts.database import Database
from sonant.server.accounts.email_addresses import known_form
from sonant.server.accounts.passwords import Passwords
from sonant.server.accounts.rate_limits import Rate, RateLimits
from sonant.server.accounts.tables import sessions, users
from sonant.server.accounts.users import User, Users, as_user, disabled
from sonant.server.errors import ApiError
from sonant.server.networks import network_of

KNOWN = Rate(10, 900)  # failed attempts on a device that has signed in before
ATTEMPTS = {"pair": Rate(10, 900), "network": Rate(50, 900), "email": Rate(200, 3600)}  # and on others
NONCE_BYTES = 16


class Account(NamedTuple):
    """An account, and the networks from which it is signed in."""

    row: Any
    networks: frozenset[str]


class Credentials:
    """Checks and changes passwords.

    Failed attempts are braked by account and network, by network, and by account. The last brake alone would let
    anyone lock an owner out. So a device that has signed in before, which a cookie proves, has a brake of its own
    and no other (the device cookies of OWASP), and a network from which the account is signed in is free of the last.
    """

    def __init__(
        self, database: Database, users: Users, passwords: Passwords, audit: Audit, limits: RateLimits
    ) -> None:
        self._database, self._users, self._passwords = database, users, passwords
        self._audit, self._limits = audit, limits

    async def check(self, email: str, password: str, *, address: str, device: str = "") -> User:
        """Return the user with this e-mail address and password.

        Args:
            email, password: as given.
            address: network address of the client.
            device: the cookie of `new_device`, if there is one.

        Raises ApiError 401: wrong e-mail address or password. 403: disabled account. 429: too many attempts.
        """
        email, network = known_form(email), network_of(address)
        found = await self._database.read(lambda connection: _find(connection, email))
        if found is not None and _is_proved(device, found.row):
            brakes, waiting, sender = {f"sign-in {email} {device}": KNOWN}, self._passwords.known, email
        else:
            names = {"pair": f"sign-in {email} {network}", "network": f"sign-in {network}"}
            if found is None or network not in found.networks:
                names["email"] = f"sign-in to {email}"
            brakes = {name: ATTEMPTS[kind] for kind, name in names.items()}
            waiting, sender = self._passwords.visitors, network
        self._limits.count_attempt(brakes)
        kept = None if found is None else found.row.password_hash
        try:
            fits = await self._passwords.fits(password, kept, waiting=waiting, sender=sender)
        except ApiError:
            self._limits.give_back(brakes)  # nothing was tried
            raise
        if not fits or found is None:
            # The e-mail field of an unknown account may contain a password, so it is not logged.
            target = "" if found is None else found.row.email
            await self._audit.record("sign-in failed", by=UNKNOWN, target=target, address=address)
            raise ApiError(
                401, "invalid_credentials", "No account has this e-mail address and this password: check both."
            )
        self._limits.give_back(brakes)  # successes do not count
        if found.row.is_disabled:
            await self._audit.record("sign-in refused", by=email, target=email, detail="disabled", address=address)
            raise disabled()
        return as_user(found.row)

    async def change(self, user_id: int, old: str, new: str, *, address: str = "") -> None:
        """Change the password of a signed-in user, given the old one; the user has to sign in again.

        Raises ApiError 401: wrong old password. 400: new password too short. 429: too many attempts.
        """
        user = await self._users.get(user_id)
        device = await self.new_device(user_id, nonce="session")
        await self.check(user.email, old, address=address, device=device or "")
        await self._users.set_password(user_id, new, by=user.email, address=address)

    async def new_device(self, user_id: int, *, nonce: str | None = None) -> str | None:
        """Return the cookie for a device on which a user has signed in; None if the user has no password.

        It ends with the password.
        """
        query = select(users).where(users.c.id == user_id)
        row = await self._database.read(lambda connection: connection.execute(query).one_or_none())
        if row is None or row.password_hash is None:
            return None
        nonce = nonce or secrets.token_urlsafe(NONCE_BYTES)
        return f"{nonce}.{_proof(nonce, row)}"


def _find(connection: Connection, email: str) -> Account | None:
    row = connection.execute(select(users).where(users.c.email == email)).one_or_none()
    if row is None:
        return None
    addresses = connection.execute(select(sessions.c.address).where(sessions.c.user_id == row.id)).scalars()
    return Account(row, frozenset(map(network_of, addresses)))


def _is_proved(device: str, row: Any) -> bool:
    nonce, _, proof = device.partition(".")
    return row.password_hash is not None and hmac.compare_digest(proof.encode(), _proof(nonce, row).encode())


def _proof(nonce: str, row: Any) -> str:
    """Return what proves that the server made the nonce for this user: only the database knows the password's hash."""
    return hmac.digest(row.password_hash.encode(), f"device {row.id} {nonce}".encode(), "sha256").hex()

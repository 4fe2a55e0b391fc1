"""Browser sessions: a random token in a cookie, whose hash is in the database; and cookies of known devices."""

import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from sqlalchemy import Connection, delete, insert, select

from sonant.server.accounts.audit import note
from sonant.server.accounts.credentials import Credentials
from sonant.server.accounts.database import Database
from sonant.server.accounts.keys import Key, Keys, digest_of
from sonant.server.accounts.rate_limits import DAY
from sonant.server.accounts.recent import Recent
from sonant.server.accounts.tables import sessions, users
from sonant.server.accounts.users import Users, disabled
from sonant.server.errors import ApiError
from sonant.server.settings import AccountRules

COOKIE = "sonant_session"
DEVICE_COOKIE = "sonant_device"  # stays when its user signs out: see `Credentials`
DEVICE_DAYS = 365


@dataclass(frozen=True)
class Session:
    """A session of a signed-in user.

    Attributes:
        csrf_token: required by every change besides the cookie, since no other site can read it; bound to the session.
        address: network address of the sign-in.
        created, expires: unix seconds.
    """

    user_id: int
    email: str
    is_admin: bool
    csrf_token: str
    address: str
    created: int
    expires: int

    @property
    def name(self) -> str:
        return self.email


@dataclass(frozen=True)
class NewSession:
    """A session, the token for its cookie, and the cookie of the device, unless the user has no password."""

    token: str
    device: str | None
    session: Session


class Sessions:
    """Signs users in and out."""

    def __init__(
        self, database: Database, rules: AccountRules, users: Users, credentials: Credentials, keys: Keys
    ) -> None:
        self._database, self._rules, self._users, self._keys = database, rules, users, keys
        self._credentials = credentials
        self._recent: Recent[Session] = Recent()

    async def sign_in(self, email: str, password: str, *, address: str, device: str = "") -> NewSession:
        """Sign in by e-mail address and password; `device` is the cookie of a known device.

        Raises ApiError 401: wrong e-mail address or password. 403: disabled account. 429: too many attempts.
        """
        user = await self._credentials.check(email, password, address=address, device=device)
        return await self.open(user.id, address=address)

    async def sign_in_with_key(self, key: str, *, address: str) -> NewSession:
        """Sign in an administrator by key, as the first one has no password.

        The key needs the admin scope: any other key has fewer permissions than its owner.
        Raises ApiError 401: not a key with the admin scope.
        """
        holder = await self._keys.recognize(key.strip())
        if holder is None or holder.key.state != "live" or "admin" not in holder.key.scopes or not holder.is_admin:
            raise ApiError(401, "invalid_credentials", "This is no administrator's key, or it has ended.")
        if holder.is_disabled:
            raise disabled()
        return await self.open(holder.key.user_id, address=address, key=holder.key)

    async def open(self, user_id: int, *, address: str, key: Key | None = None) -> NewSession:
        """Open a session for an authenticated user; a session opened by a key ends when the key is revoked.

        Raises ApiError 404: unknown user.
        """
        user = await self._users.get(user_id)
        token, now = secrets.token_urlsafe(32), int(time.time())
        expires = now + int(self._rules.session_days * DAY)
        if key is not None and key.expires is not None:
            expires = min(expires, key.expires)
        session = Session(user_id, user.email, user.is_admin, csrf_token(token), address[:64], now, expires)
        row = {name: getattr(session, name) for name in ("user_id", "address", "created", "expires")}

        def open_session(connection: Connection) -> None:
            key_id, detail = (None, "") if key is None else (key.id, f"with {key.prefix}")
            connection.execute(insert(sessions), {"digest": digest_of(token), "key_id": key_id, **row})
            note(connection, "signed in", by=user.email, target=user.email, detail=detail, address=address)

        await self._database.write(open_session)
        device = None if key is not None else await self._credentials.new_device(user_id)
        return NewSession(token, device, session)

    async def recognize(self, token: str) -> Session | None:
        """Look up a session by its token; None for an unknown or ended one."""
        digest = digest_of(token)
        found = self._recent.get(digest)
        if found is None:
            change = self._recent.change
            row = await self._database.read(
                lambda connection: connection.execute(_QUERY.where(sessions.c.digest == digest)).one_or_none()
            )
            if row is None or row.is_disabled:
                return None
            found = _session(row, csrf_token(token))
            self._recent.keep(digest, found, user_id=found.user_id, change=change)
        return found if time.time() < found.expires else None

    async def of(self, user_id: int) -> list[Session]:
        """Return the sessions of a user, newest first, without CSRF tokens."""
        query = _QUERY.where(sessions.c.user_id == user_id, sessions.c.expires > time.time())
        query = query.order_by(sessions.c.created.desc())
        return await self._database.read(lambda connection: [_session(row, "") for row in connection.execute(query)])

    async def sign_out(self, token: str) -> None:
        """End one session."""
        gone = delete(sessions).where(sessions.c.digest == digest_of(token)).returning(sessions.c.user_id)
        user_id = await self._database.write(lambda connection: connection.execute(gone).scalar())
        if user_id is not None:
            self.forget(user_id)

    async def sign_out_everywhere(self, user_id: int) -> None:
        """End all sessions of a user."""
        gone = delete(sessions).where(sessions.c.user_id == user_id)
        await self._database.write(lambda connection: connection.execute(gone).rowcount)
        self.forget(user_id)

    async def clear_expired(self) -> None:
        """Delete expired sessions."""
        gone = delete(sessions).where(sessions.c.expires <= time.time())
        await self._database.write(lambda connection: connection.execute(gone).rowcount)

    def forget(self, user_id: int) -> None:
        """Remove the sessions of a user from the cache."""
        self._recent.forget(user_id)

    def set_cookies(self, response: Response, request: Request, new: NewSession) -> None:
        """Set the cookies of session and device: HttpOnly, and not sent by requests of other sites."""
        secure = request.url.scheme == "https" if self._rules.secure_cookies is None else self._rules.secure_cookies
        cookies: list[tuple[str, str, float]] = [(COOKIE, new.token, self._rules.session_days)]
        if new.device is not None:
            cookies.append((DEVICE_COOKIE, new.device, DEVICE_DAYS))
        for name, value, days in cookies:
            response.set_cookie(name, value, max_age=int(days * DAY), httponly=True, samesite="lax", secure=secure)

    def clear_cookie(self, response: Response) -> None:
        response.delete_cookie(COOKIE, httponly=True, samesite="lax")

    def token_of(self, request: Request) -> str | None:
        """The token that a request carries."""
        return request.cookies.get(COOKIE)

    def device_of(self, request: Request) -> str:
        """The cookie of its device that a request carries, or ""."""
        return request.cookies.get(DEVICE_COOKIE, "")


_QUERY = select(sessions, users.c.email, users.c.is_admin, users.c.is_disabled).join_from(sessions, users)


def csrf_token(token: str) -> str:
    """Derive the CSRF token from the session token (one-way)."""
    return hmac.digest(token.encode(), b"csrf", "sha256").hex()


def _session(row: Any, csrf: str) -> Session:
    return Session(row.user_id, row.email, row.is_admin, csrf, row.address, row.created, row.expires)

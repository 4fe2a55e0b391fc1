"""API keys: shown once, kept as a hash."""

import hashlib
import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from sonant.errors import UnknownName
from sonant.server.accounts.audit import note
from sonant.server.accounts.database import Database
from sonant.server.accounts.recent import Recent
from sonant.server.accounts.tables import api_keys, sessions, users
from sonant.server.errors import ApiError

Scope = Literal[
    "embeddings",
    "transcription",
    "verification",
    "diarization",
    "classification",
    "enhancement",
    "separation",
    "models",
    "admin",
]
SCOPES: tuple[Scope, ...] = get_args(Scope)
API_SCOPES: tuple[Scope, ...] = tuple(scope for scope in SCOPES if scope != "admin")

START = "sk-sonant-"
RANDOM_BYTES = 36  # length of the prefix that is stored for display; the rest is more than 256 secret bits
SHOWN = len(START) + 4
MOST_KEYS = 100  # largest number of keys of a user, without revoked ones
YEAR_10000 = 253_402_300_800


@dataclass(frozen=True)
class Key:
    """An API key, without its secret.

    Attributes:
        prefix: its first characters, for display.
        created, expires, revoked, last_used: unix seconds.
        requests_per_minute, audio_seconds_per_minute: rate limits, beside those of the account; None: none of its own.
    """

    id: int
    user_id: int
    name: str
    prefix: str
    scopes: frozenset[Scope]
    created: int
    expires: int | None
    revoked: int | None
    last_used: int | None
    requests_per_minute: int | None
    audio_seconds_per_minute: float | None

    @property
    def state(self) -> Literal["live", "expired", "revoked"]:
        if self.revoked is not None:
            return "revoked"
        return "live" if self.expires is None or time.time() < self.expires else "expired"


@dataclass(frozen=True)
class NewKey:
    """A new key with its secret, which is shown only once."""

    secret: str
    key: Key


@dataclass(frozen=True)
class KeyHolder:
    """A key and its user."""

    key: Key
    email: str
    is_admin: bool
    is_disabled: bool


HOLDER = (
    select(api_keys, users.c.email, users.c.is_admin, users.c.is_disabled)
    .join_from(api_keys, users)
    .where(api_keys.c.digest == bindparam("digest"))
)


class Keys:
    """Creates, looks up and revokes keys.

    `forget(user_id)` is called when cached facts about a user become invalid.
    """

    def __init__(self, database: Database, *, forget: Callable[[int], None]) -> None:
        self._database, self._forget = database, forget
        self._recent: Recent[KeyHolder] = Recent()
        self._last_used: dict[int, int] = {}  # times of use not yet written

    async def create(
        self,
        user_id: int,
        name: str,
        *,
        scopes: Collection[Scope] = API_SCOPES,
        expires: int | None = None,
        requests_per_minute: int | None = None,
        audio_seconds_per_minute: float | None = None,
        by: str,
        address: str = "",
    ) -> NewKey:
        """Create a key for a user; `expires` is a unix time.

        Raises ApiError 400: invalid name, scope, rate or time, or too many keys. 403: admin scope for a user who is no
        administrator. 404: unknown user.
        """
        row = {
            "user_id": user_id,
            "name": _name(name),
            "scopes": _scopes(scopes),
            "expires": _expiry(expires),
            "requests_per_minute": _rate("requests_per_minute", requests_per_minute),
            "audio_seconds_per_minute": _rate("audio_seconds_per_minute", audio_seconds_per_minute),
        }

        def create(connection: Connection) -> NewKey:
            user = connection.execute(select(users).where(users.c.id == user_id)).one_or_none()
            if user is None:
                raise ApiError(404, "user_not_found", f"There is no user {user_id}.")
            if "admin" in scopes and not user.is_admin:
                raise ApiError(
                    403, "insufficient_scope", f"{user.email} is no administrator: leave out the scope admin."
                )
            mine = select(func.count()).where(api_keys.c.user_id == user_id, api_keys.c.revoked.is_(None))
            if connection.execute(mine).scalar_one() >= MOST_KEYS:
                raise ApiError(400, "too_many_keys", f"There are {MOST_KEYS} keys already: revoke one first.")
            return add(connection, row, by=by, address=address)

        return await self._database.write(create)

    async def of(self, user_id: int) -> list[Key]:
        """Return the keys of a user, including revoked ones, newest first."""
        query = select(api_keys).where(api_keys.c.user_id == user_id).order_by(api_keys.c.id.desc())
        return await self._database.read(lambda connection: [as_key(row) for row in connection.execute(query)])

    async def all(self) -> list[Key]:
        """Return the keys of all users, newest first."""
        query = select(api_keys).order_by(api_keys.c.id.desc())
        return await self._database.read(lambda connection: [as_key(row) for row in connection.execute(query)])

    async def revoke(self, key_id: int, *, user_id: int | None = None, by: str, address: str = "") -> None:
        """Revoke a key and the sessions that it opened; other processes notice within seconds.

        Raises ApiError 404: unknown key, or the key of another user.
        """
        own = [api_keys.c.id == key_id] if user_id is None else [api_keys.c.id == key_id, api_keys.c.user_id == user_id]

        def revoke(connection: Connection) -> int:
            row = connection.execute(select(api_keys).where(*own)).one_or_none()
            if row is None:
                raise ApiError(404, "key_not_found", f"There is no key {key_id} here.")
            if row.revoked is None:
                connection.execute(update(api_keys).where(*own), {"revoked": int(time.time())})
                connection.execute(delete(sessions).where(sessions.c.key_id == key_id))
                note(connection, "key revoked", by=by, target=row.prefix, detail=row.name, address=address)
            return int(row.user_id)

        self._forget(await self._database.write(revoke))

    async def recognize(self, secret: str) -> KeyHolder | None:
        """Look up a key and its user by the secret, including expired and revoked keys; None for an unknown one."""
        if not secret.startswith(START) or len(secret) > 100:
            return None
        digest = digest_of(secret)
        found = self._recent.get(digest)
        if found is None:
            change = self._recent.change
            row = await self._database.read(
                lambda connection: connection.execute(HOLDER, {"digest": digest}).one_or_none()
            )
            if row is None:
                return None
            found = KeyHolder(as_key(row), row.email, row.is_admin, row.is_disabled)
            self._recent.keep(digest, found, user_id=found.key.user_id, change=change)
        return found

    def forget(self, user_id: int) -> None:
        """Remove the keys of a user from the cache."""
        self._recent.forget(user_id)

    def used(self, key_id: int) -> None:
        """Record the time of use of a key; it is written later, together with others."""
        self._last_used[key_id] = int(time.time())

    async def write_last_used(self) -> None:
        """Write the times of use recorded since the last call."""
        if not self._last_used:
            return
        noted, self._last_used = self._last_used, {}
        query = update(api_keys).where(api_keys.c.id == bindparam("key")).values(last_used=bindparam("at"))
        rows = [{"key": key, "at": at} for key, at in sorted(noted.items())]
        try:
            await self._database.write(lambda connection: connection.execute(query, rows).rowcount)
        except BaseException:
            self._last_used = noted | self._last_used
            raise


def add(connection: Connection, row: dict[str, Any], *, by: str, address: str = "") -> NewKey:
    """Insert a new key."""
    secret = START + secrets.token_urlsafe(RANDOM_BYTES)
    made = {"digest": digest_of(secret), "prefix": secret[:SHOWN], "created": int(time.time())}
    key = as_key(connection.execute(insert(api_keys).returning(api_keys), row | made).one())
    detail = f"{key.name}: {', '.join(sorted(key.scopes))}"
    note(connection, "key made", by=by, target=key.prefix, detail=detail, address=address)
    return NewKey(secret, key)


def digest_of(secret: str) -> str:
    """Return the hash under which a key or a session token is stored.

    A plain SHA-256 is enough for 256 random bits, which cannot be guessed, unlike a password.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def as_key(row: Any) -> Key:
    """Convert a row of the table to a key."""
    return Key(
        id=row.id,
        user_id=row.user_id,
        name=row.name,
        prefix=row.prefix,
        scopes=frozenset(row.scopes.split(",")),
        created=row.created,
        expires=row.expires,
        revoked=row.revoked,
        last_used=row.last_used,
        requests_per_minute=row.requests_per_minute,
        audio_seconds_per_minute=row.audio_seconds_per_minute,
    )


def _name(name: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise ApiError(
            400,
            "invalid_value",
            f"The key's name has {len(name)} characters; expected 1 to 100, such as 'laptop'.",
            param="name",
        )
    return name


def _scopes(scopes: Collection[Scope]) -> str:
    for scope in scopes:
        if scope not in SCOPES:
            raise UnknownName("scope", scope, SCOPES)
    if not scopes:
        raise ApiError(
            400,
            "invalid_value",
            f"A key without scopes opens nothing; expected some of {', '.join(SCOPES)}.",
            param="scopes",
        )
    return ",".join(scope for scope in SCOPES if scope in scopes)


def _expiry(expires: int | None) -> int | None:
    if expires is not None and not time.time() < expires < YEAR_10000:
        raise ApiError(
            400,
            "invalid_value",
            f"The key would expire at {expires} (unix seconds); expected a time to come.",
            param="expires",
        )
    return expires


def _rate(name: str, rate: float | None) -> float | None:
    if rate is not None and not 0 < rate <= 1e9:
        raise ApiError(400, "invalid_value", f"{name} is {rate:g}; expected more than 0, to a billion.", param=name)
    return rate

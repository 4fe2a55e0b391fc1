"""The accounts of a server: users, keys, sessions, credit and usage, over one database."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from decimal import Decimal
from functools import cached_property
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Self
from uuid import uuid4

from sqlalchemy import Connection, select, text

from sonant.server.accounts import keys as key_rows
from sonant.server.accounts import users as user_rows
from sonant.server.accounts.audit import Audit
from sonant.server.accounts.bill import Bill
from sonant.server.accounts.caller import Caller
from sonant.server.accounts.confirmations import Confirmations
from sonant.server.accounts.credentials import Credentials
from sonant.server.accounts.credit import Credit, to_units
from sonant.server.accounts.database import Database, DatabaseUnavailable
from sonant.server.accounts.keys import SCOPES, Keys
from sonant.server.accounts.mailed_links import MailedLinks
from sonant.server.accounts.password_resets import PasswordResets
from sonant.server.accounts.passwords import Passwords
from sonant.server.accounts.rate_limits import Rate, RateLimits
from sonant.server.accounts.servers import BEAT_SECONDS, Servers
from sonant.server.accounts.sessions import Sessions
from sonant.server.accounts.tables import api_keys, users
from sonant.server.accounts.usage import Usage, Used
from sonant.server.accounts.users import User, Users
from sonant.server.accounts.votes import Votes
from sonant.server.errors import ApiError
from sonant.server.settings import ServerSettings

if TYPE_CHECKING:
    from sonant.server.accounts.voices import EnrolledVoices

FIRST_ADMIN = "admin@localhost"
PROBE_SECONDS = 1.0  # for which a write shows that the next will succeed
BEATS_PER_HOUR = int(3600 / BEAT_SECONDS)

logger = logging.getLogger(__name__)


class Accounts:
    """The parts of the accounts, which share one database; an async context manager."""

    def __init__(self, settings: ServerSettings) -> None:
        self._rules = rules = settings.accounts
        self._database = database = Database(settings.database_url)
        self._limits = RateLimits()  # of accounts and keys
        self._attempts = attempts = RateLimits()  # under names that clients choose
        self._servers = Servers(database)
        self._probe: asyncio.Task[None] | None = None
        self.audit = Audit(database)
        self._passwords = passwords = Passwords()
        confirms = settings.mail.host is not None
        self.users = Users(database, rules, passwords, attempts, confirms=confirms, forget=self._forget)
        self.credentials = Credentials(database, self.users, passwords, self.audit, attempts)
        self.keys = Keys(database, forget=self._forget)
        self.sessions = Sessions(database, rules, self.users, self.credentials, self.keys)
        self._links = links = MailedLinks(database, settings.mail, self.users)
        self.confirmations = Confirmations(database, links, passwords, attempts, free_credit=rules.free_credit)
        self.password_resets = PasswordResets(database, links, self.users, self.audit, attempts)
        self.credit = Credit(database)
        self.usage = Usage(database)
        self.votes = Votes(database)

    async def __aenter__(self) -> Self:
        await self._database.__aenter__()
        await self._servers.beat()
        self._housekeeping = asyncio.create_task(self._run_periodic_tasks())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._housekeeping.cancel()
        with suppress(asyncio.CancelledError):
            await self._housekeeping
        try:
            await self.password_resets.settle()
            await self.keys.write_last_used()
            await self._servers.leave()
        except Exception:
            logger.exception("the end of this server could not be recorded in the database")
        finally:
            self._passwords.close()
            self._links.close()
            await self._database.__aexit__()

    @cached_property
    def voices(self) -> EnrolledVoices:
        """Enrolled people of all accounts; made when first used, since commands for accounts import no torch."""
        from sonant.server.accounts.voices import EnrolledVoices

        return EnrolledVoices(self._database, most_recordings=self._rules.enrolled_recordings)

    def bill(
        self,
        caller: Caller,
        *,
        request_id: str,
        model: str,
        endpoint: str,
        tokens: int,
        audio_seconds: float,
        cost: Decimal,
    ) -> Bill:
        """Return a context for the work of one request, which holds the cost until the work ends.

            async with accounts.bill(caller, ..., cost=price.cost(tokens, seconds)):
                vectors = await model.encode(...)

        If the work succeeds, it is charged and counted in one transaction; if it raises or is cancelled, the held
        amount is released. Anonymous callers pay nothing; their usage is counted.
        Raises ApiError 402: insufficient credit.
        """
        used = Used(
            # A number of its own: request ids may be chosen by the client.
            bill=uuid4().hex,
            request_id=request_id,
            user_id=caller.user_id,
            key_id=caller.key_id,
            model=model,
            endpoint=endpoint,
            tokens=tokens,
            audio_seconds=audio_seconds,
            cost=0 if caller.user_id is None else to_units(cost),
        )
        return Bill(self._database, self._servers, used, more_credit=self._rules.more_credit)

    def admit(self, caller: Caller) -> None:
        """Count a request towards the rate limits of its account and its key. Raises ApiError 429: limit exceeded."""
        self._count(caller, 1, 1, "requests", self._rules.requests_per_minute, caller.requests_per_minute)

    def admit_audio(self, caller: Caller, seconds: float, *, of: float) -> None:
        """Count audio towards the rate limits of its account and its key, before it is decoded.

        Args:
            of: seconds of the whole request as far as they are known, these included.

        Raises ApiError 429: limit exceeded. 413: the request holds more than the limit ever allows.
        """
        rules = self._rules
        self._count(
            caller, seconds, of, "seconds of audio", rules.audio_seconds_per_minute, caller.audio_seconds_per_minute
        )

    async def first_admin_key(self) -> str | None:
        """Create a key for the first administrator, and the account if needed; None if there is such a key."""

        def make(connection: Connection) -> str | None:
            if connection.dialect.name == "postgresql":  # of several servers that start at once, one makes the key
                connection.execute(text("LOCK TABLE api_keys IN SHARE ROW EXCLUSIVE MODE"))
            keys = select(api_keys).join_from(api_keys, users)
            keys = keys.where(users.c.is_admin, ~users.c.is_disabled, api_keys.c.scopes.contains("admin"))
            if any(key_rows.as_key(row).state == "live" for row in connection.execute(keys)):
                return None
            row = {"user_id": self._first_admin(connection), "name": "first admin key", "scopes": ",".join(SCOPES)}
            return key_rows.add(connection, row, by="server").secret

        return await self._database.write(make)

    async def first_admin(self) -> User:
        """Return the oldest administrator account; on a new server it is created."""
        return await self.users.get(await self._database.write(self._first_admin))

    async def is_writable(self) -> bool:
        """Return whether the database takes writes; it is tried once a second at most, however often this is asked."""
        if monotonic() - self._database.tried > PROBE_SECONDS:
            if self._probe is None or self._probe.done():
                self._probe = asyncio.create_task(self._servers.probe())
            with suppress(DatabaseUnavailable):
                await asyncio.shield(self._probe)
        return self._database.is_available

    def _first_admin(self, connection: Connection) -> int:
        query = select(users.c.id).where(users.c.is_admin, ~users.c.is_disabled).order_by(users.c.id)
        known: int | None = connection.execute(query).scalar()
        if known is not None:
            return known
        credit = self._rules.free_credit
        return user_rows.add(connection, FIRST_ADMIN, None, is_admin=True, credit=credit, by="server").id

    def _count(
        self, caller: Caller, amount: float, of: float, what: str, most: float, most_by_key: float | None
    ) -> None:
        """Count an amount towards the rates of the account and of the key; anonymous callers have none."""
        if caller.user_id is None:
            return
        rates = {f"{what} {caller.share}": most}
        if most_by_key is not None:
            rates[f"{what} key {caller.key_id}"] = min(most, most_by_key)
        least = min(rates.values())
        if of > least:
            message = f"The request holds {of:.1f} {what}, and in a minute {least:g} may be sent: send it in parts."
            raise ApiError(413, "audio_too_long", message)
        refusal = self._limits.take({name: Rate(rate) for name, rate in rates.items()}, amount)
        if refusal is not None:
            _, rate, wait = refusal
            message = f"More than {rate.amount:g} {what} in a minute: try again in {max(1, round(wait))} s."
            raise ApiError(429, "rate_limit_exceeded", message, retry_after=wait)

    def _forget(self, user_id: int) -> None:
        self.keys.forget(user_id)
        self.sessions.forget(user_id)

    async def _run_periodic_tasks(self) -> None:
        """Run the periodic tasks every few seconds; failed ones are repeated the next time."""
        for beat in count():
            await asyncio.sleep(BEAT_SECONDS)
            try:
                await self._servers.beat()
                await self.keys.write_last_used()
                if beat % BEATS_PER_HOUR == 0:
                    await self.sessions.clear_expired()
                    await self._links.clear_expired()
                    await self.audit.clear_expired(self._rules.audit_days)
            except DatabaseUnavailable:
                pass  # it is in the log
            except Exception:
                logger.exception("the accounts' housekeeping failed; it is tried again in %.0f s", BEAT_SECONDS)

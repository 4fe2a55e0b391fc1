"""The audit log: actor, action, target, time and network address. It contains no secrets.

Entries are deleted after the days of the setting `accounts.audit_days`. In those of a deleted account its number stands
in the place of its e-mail address.
"""

import time
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Connection, String, delete, insert, or_, select, update

from sonant.server.accounts.database import Database
from sonant.server.accounts.rate_limits import DAY
from sonant.server.accounts.tables import audit

UNKNOWN = "unknown"  # the actor of failed sign-ins


@dataclass(frozen=True)
class AuditEntry:
    """One entry of the audit log.

    Attributes:
        id: ascending.
        created: unix seconds.
        by: e-mail address of the actor, or "command line" or "server", or "unknown".
        action: such as "key made".
        target: an e-mail address, the prefix of a key, a model.
        address: network address of the client, if any.
    """

    id: int
    created: int
    by: str
    action: str
    target: str
    detail: str
    address: str


def note(
    connection: Connection, action: str, *, by: str, target: str = "", detail: str = "", address: str = ""
) -> None:
    """Write an entry in the transaction of the change that it describes."""
    row = {"actor": by, "action": action, "target": target, "detail": detail, "address": address}
    kept = {name: text[: cast("String", audit.c[name].type).length] for name, text in row.items()}
    connection.execute(insert(audit), {"created": int(time.time()), **kept})


def erase(connection: Connection, email: str, pseudonym: str) -> None:
    """Remove what identifies a person: the e-mail address, and network addresses and names of keys beside it."""
    by, about = audit.c.actor == email, audit.c.target == email
    named = or_(by, about & (audit.c.actor == UNKNOWN))
    connection.execute(update(audit).where(named).values(address=""))
    connection.execute(update(audit).where(by, audit.c.action.in_(("key made", "key revoked"))).values(detail=""))
    connection.execute(update(audit).where(about).values(target=pseudonym))
    connection.execute(update(audit).where(by).values(actor=pseudonym))


class Audit:
    """The audit log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, action: str, *, by: str, target: str = "", detail: str = "", address: str = "") -> None:
        """Write an entry in a transaction of its own."""
        await self._database.write(
            lambda connection: note(connection, action, by=by, target=target, detail=detail, address=address)
        )

    async def entries(
        self, *, limit: int = 100, before: int | None = None, target: str | None = None
    ) -> list[AuditEntry]:
        """Return entries, the newest first; with `before`, only those older than the entry of that id."""
        query = select(audit).order_by(audit.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.c.id < before)
        if target is not None:
            query = query.where(audit.c.target == target)

        def rows(connection: Connection) -> list[AuditEntry]:
            return [
                AuditEntry(row.id, row.created, row.actor, row.action, row.target, row.detail, row.address)
                for row in connection.execute(query)
            ]

        return await self._database.read(rows)

    async def clear_expired(self, days: float) -> None:
        """Delete entries that are older than so many days."""
        gone = delete(audit).where(audit.c.created < time.time() - days * DAY)
        await self._database.write(lambda connection: connection.execute(gone).rowcount)

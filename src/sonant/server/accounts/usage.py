"""Usage records: one row for each request, with user, model, time, amounts and cost."""

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, delete, func, insert, select

from sonant.server.accounts.credit import GIVE_BACK, from_units
from sonant.server.accounts.database import Database
from sonant.server.accounts.tables import api_keys, usage, users


@dataclass(frozen=True)
class Used:
    """The usage of one request, and the key that paid for it."""

    bill: str
    request_id: str
    user_id: int | None
    key_id: int | None
    model: str
    endpoint: str
    tokens: int
    audio_seconds: float
    cost: int  # billionths of the currency


@dataclass(frozen=True)
class UsageRow:
    """The sums over the requests of a day to one endpoint of one model."""

    day: str
    model: str
    endpoint: str
    requests: int
    tokens: int
    audio_seconds: float
    cost: Decimal


@dataclass(frozen=True)
class UsageTotals:
    """The sums over requests."""

    requests: int
    tokens: int
    audio_seconds: float
    cost: Decimal


# The row of a user who was deleted meanwhile is written without the user.
INSERT = insert(usage).values(
    user_id=select(users.c.id).where(users.c.id == bindparam("user")).scalar_subquery(),
    key_id=select(api_keys.c.id).where(api_keys.c.id == bindparam("key")).scalar_subquery(),
)
SUMS = (
    func.count().label("requests"),
    func.coalesce(func.sum(usage.c.tokens), 0).label("tokens"),
    func.coalesce(func.sum(usage.c.audio_seconds), 0.0).label("audio_seconds"),
    func.coalesce(func.sum(usage.c.cost), 0).label("cost"),
)


def count(connection: Connection, used: Used) -> None:
    """Insert the row of a request."""
    now = time.time()
    row = {
        "id": used.bill,
        "request_id": used.request_id[:128],
        "user": used.user_id,
        "key": used.key_id,
        "created": int(now),
        "day": datetime.fromtimestamp(now, UTC).date().isoformat(),
        "model": used.model,
        "endpoint": used.endpoint,
        "tokens": used.tokens,
        "audio_seconds": used.audio_seconds,
        "cost": used.cost,
    }
    connection.execute(INSERT, row)


def is_counted(connection: Connection, bill: str) -> bool:
    """Return whether the row of a request exists."""
    return connection.execute(select(usage.c.id).where(usage.c.id == bill)).first() is not None


def uncount(connection: Connection, bill: str) -> None:
    """Delete the row of a request, if it exists, and give its cost back."""
    query = delete(usage).where(usage.c.id == bill).returning(usage.c.user_id, usage.c.cost)
    row = connection.execute(query).first()
    if row is not None:
        connection.execute(GIVE_BACK, {"user": row.user_id, "amount": row.cost})


class Usage:
    """Queries of usage sums."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def by_day(
        self, *, user_id: int | None = None, since: date | None = None, until: date | None = None
    ) -> list[UsageRow]:
        """Sum by day (newest first), model and endpoint, both days included; of one user, or of all."""
        group = (usage.c.day, usage.c.model, usage.c.endpoint)
        query = _of(user_id, select(*group, *SUMS)).group_by(*group)
        query = query.order_by(usage.c.day.desc(), usage.c.model, usage.c.endpoint)
        bounds: list[ColumnElement[bool]] = []
        if since is not None:
            bounds.append(usage.c.day >= since.isoformat())
        if until is not None:
            bounds.append(usage.c.day <= until.isoformat())
        query = query.where(*bounds)
        return await self._database.read(
            lambda connection: [
                UsageRow(row.day, row.model, row.endpoint, **_amounts(row)) for row in connection.execute(query)
            ]
        )

    async def totals(self, *, user_id: int | None = None) -> UsageTotals:
        """Sum over all days; of one user, or of all."""
        query = _of(user_id, select(*SUMS))
        return await self._database.read(lambda connection: UsageTotals(**_amounts(connection.execute(query).one())))


def _of(user_id: int | None, query: Select[Any]) -> Select[Any]:
    return query if user_id is None else query.where(usage.c.user_id == user_id)


def _amounts(row: Any) -> dict[str, Any]:
    return {
        "requests": row.requests,
        "tokens": int(row.tokens),  # PostgreSQL sums BIGINT to a Decimal
        "audio_seconds": row.audio_seconds,
        "cost": from_units(int(row.cost)),
    }

"""The votes of those who want a model: one a user and model."""

import time
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from sonant.server.accounts.database import Database
from sonant.server.accounts.tables import votes


class Votes:
    """Which models people want."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cast(self, user_id: int, model: str) -> bool:
        """Want a model; False: the user did already."""

        def cast(connection: Connection) -> bool:
            if connection.execute(select(votes.c.model).where(*_one(user_id, model))).first() is not None:
                return False
            connection.execute(insert(votes), {"user_id": user_id, "model": model, "created": int(time.time())})
            return True

        return await self._database.write(cast)

    async def withdraw(self, user_id: int, model: str) -> bool:
        """Want it no longer; False: the user did not."""
        query = delete(votes).where(*_one(user_id, model))
        return await self._database.write(lambda connection: connection.execute(query).rowcount > 0)

    async def counts(self) -> dict[str, int]:
        """How many want each model that somebody wants."""
        query = select(votes.c.model, func.count().label("votes")).group_by(votes.c.model)
        return await self._database.read(lambda connection: {row.model: row.votes for row in connection.execute(query)})

    async def of(self, user_id: int) -> set[str]:
        """What one user wants."""
        query = select(votes.c.model).where(votes.c.user_id == user_id)
        return await self._database.read(lambda connection: set(connection.scalars(query)))


def _one(user_id: int, model: str) -> tuple[Any, ...]:
    return votes.c.user_id == user_id, votes.c.model == model

"""Votes of users for models to be served: one for each user and model."""

import time
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from sonant.server.accounts.database import Database
from sonant.server.accounts.tables import votes


class Votes:
    """The votes for models."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cast(self, user_id: int, model: str) -> bool:
        """Vote for a model; False if the user has done so already, or no longer exists."""
        row = {"user_id": user_id, "model": model, "created": int(time.time())}
        try:
            await self._database.write(lambda connection: connection.execute(insert(votes), row).rowcount)
        except IntegrityError:
            return False
        return True

    async def withdraw(self, user_id: int, model: str) -> bool:
        """Withdraw a vote for a model; False if there was none."""
        query = delete(votes).where(*_one(user_id, model))
        return await self._database.write(lambda connection: connection.execute(query).rowcount > 0)

    async def counts(self) -> dict[str, int]:
        """Return the number of votes for each model that has any."""
        query = select(votes.c.model, func.count().label("votes")).group_by(votes.c.model)
        return await self._database.read(lambda connection: {row.model: row.votes for row in connection.execute(query)})

    async def of(self, user_id: int) -> set[str]:
        """Return the models that one user has voted for."""
        query = select(votes.c.model).where(votes.c.user_id == user_id)
        return await self._database.read(lambda connection: set(connection.scalars(query)))


def _one(user_id: int, model: str) -> tuple[Any, ...]:
    return votes.c.user_id == user_id, votes.c.model == model

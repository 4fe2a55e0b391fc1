"""One request's cost: held while it is worked on, charged if it succeeds, given back if it does not."""

import asyncio
from typing import Self, TypeVar

from sqlalchemy import Connection

from sonant.server.accounts import credit
from sonant.server.accounts.database import Database
from sonant.server.accounts.usage import Used, count, is_counted

T = TypeVar("T")


class Bill:
    """An async context around the work of a request; see `Accounts.bill`.

    However the work ends (an answer, an exception, a cancelled task) the hold ends with it, exactly once. What a server
    held that was killed is released by another, or by its next start: see `Servers`.
    """

    def __init__(self, database: Database, server_id: str, used: Used) -> None:
        self._database, self._server_id, self._used = database, server_id, used
        self._is_charged = used.user_id is not None and used.cost > 0
        self.cost = credit.from_units(used.cost if self._is_charged else 0)

    async def __aenter__(self) -> Self:
        if self._is_charged:
            try:
                await to_the_end(self._database.write(self._hold))
            except asyncio.CancelledError:
                await to_the_end(self._database.write(self._release))
                raise
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        if kind is None:
            await self._succeed()
        elif self._is_charged:
            await to_the_end(self._database.write(self._release))

    async def _succeed(self) -> None:
        try:
            await to_the_end(self._database.write(self._charge))
        except asyncio.CancelledError:
            raise
        except Exception:
            # Either it was undone, or the database did it and was lost before it could say so.
            if not await to_the_end(self._database.write(self._undo)):
                raise

    def _hold(self, connection: Connection) -> None:
        assert self._used.user_id is not None
        credit.hold(
            connection,
            bill=self._used.bill,
            user_id=self._used.user_id,
            server_id=self._server_id,
            amount=self._used.cost,
        )

    def _charge(self, connection: Connection) -> None:
        if self._is_charged and not credit.drop(connection, self._used.bill):
            # This server was silent for so long that others took it for dead: what it had given back is taken again.
            assert self._used.user_id is not None
            credit.take(connection, self._used.user_id, self._used.cost)
        count(connection, self._used)

    def _release(self, connection: Connection) -> None:
        credit.release(connection, self._used.bill)

    def _undo(self, connection: Connection) -> bool:
        """Give back what is held; whether it was charged after all."""
        return not credit.release(connection, self._used.bill) and is_counted(connection, self._used.bill)


async def to_the_end(future: "asyncio.Future[T]") -> T:
    """Await something that must not stop halfway: cancelling the task waits for its end, and then cancels."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        future.exception()  # looked at, or asyncio would complain that nobody did
        raise cancelled
    return future.result()

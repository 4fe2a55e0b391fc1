"""The cost of one request: held while it is processed, then charged if it succeeded, or released."""

import asyncio
import logging
from typing import Self, TypeVar

from sqlalchemy import Connection

from sonant.server.accounts import credit
from sonant.server.accounts.database import Database
from sonant.server.accounts.servers import Servers
from sonant.server.accounts.usage import Used, count, is_counted

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Bill:
    """An async context around the work of a request; see `Accounts.bill`.

    The hold ends exactly once, however the work ends (response, exception, cancelled task). If the server is killed or
    the database cannot be reached at that moment, it is released later: see `Servers`.
    """

    def __init__(self, database: Database, servers: Servers, used: Used, *, more_credit: str = "") -> None:
        self._database, self._servers, self._used = database, servers, used
        self._more_credit = more_credit
        self._is_charged = used.user_id is not None and used.cost > 0
        self.cost = credit.from_units(used.cost if self._is_charged else 0)

    async def __aenter__(self) -> Self:
        if self._is_charged:
            self._servers.open_bills.add(self._used.bill)
            try:
                await to_the_end(self._database.write(self._hold))
            except BaseException:
                await self._give_up()
                raise
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            await self._give_up()
            return
        try:
            await to_the_end(self._database.write(self._charge))
            self._servers.open_bills.discard(self._used.bill)
        except BaseException as error:
            # The transaction was rolled back, or committed and the connection lost before the acknowledgment.
            is_charged = await self._give_up()
            if not is_charged or not isinstance(error, Exception):  # keep the cancellation
                raise

    async def _give_up(self) -> bool:
        """Release the hold, if there is one; return whether it was charged after all."""
        if not self._is_charged:
            return False
        try:
            return await to_the_end(self._database.write(self._release))
        except Exception:
            logger.exception("what a request held could not be given back; it is tried again")
            return False
        finally:
            self._servers.open_bills.discard(self._used.bill)

    def _hold(self, connection: Connection) -> None:
        assert self._used.user_id is not None
        credit.hold(
            connection,
            bill=self._used.bill,
            user_id=self._used.user_id,
            server_id=self._servers.id,
            amount=self._used.cost,
            more_credit=self._more_credit,
        )

    def _charge(self, connection: Connection) -> None:
        if self._is_charged and not credit.drop(connection, self._used.bill):
            # Other servers considered this one dead and released its hold: take the amount again.
            assert self._used.user_id is not None
            credit.take(connection, self._used.user_id, self._used.cost)
        count(connection, self._used)

    def _release(self, connection: Connection) -> bool:
        return not credit.release(connection, self._used.bill) and is_counted(connection, self._used.bill)


async def to_the_end(future: "asyncio.Future[T]") -> T:
    """Await work that must not be interrupted: a cancellation takes effect when it has ended."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        future.exception()  # retrieve the exception, or asyncio would log it
        raise cancelled
    return future.result()

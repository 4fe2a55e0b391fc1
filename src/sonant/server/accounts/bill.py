"""The cost of one request: held while it is processed, then charged if it succeeded, or released."""

import asyncio
from typing import Self

from sqlalchemy import Connection

from sonant.server.accounts import credit
from sonant.server.accounts.database import Database
from sonant.server.accounts.servers import Servers
from sonant.server.accounts.usage import Used, count, is_counted, uncount
from sonant.server.uninterrupted import to_the_end


class Bill:
    """An async context around the work of a request; see `Accounts.bill`.

    The hold ends exactly once, however the work ends (response, exception, cancelled task). What the database does not
    take is done with a later heartbeat, also by another server if this one was killed: see `Servers`.

    Attributes:
        cost: what is held, in the currency.
        is_delivered: whether the client has the result already; then a charge that fails is made later, and otherwise
            it is taken back, as the client gets an error.
    """

    def __init__(self, database: Database, servers: Servers, used: Used, *, more_credit: str = "") -> None:
        self._database, self._servers, self._used = database, servers, used
        self._more_credit = more_credit
        self._is_charged = used.user_id is not None and used.cost > 0
        self.cost = credit.from_units(used.cost if self._is_charged else 0)
        self.is_delivered = False

    async def __aenter__(self) -> Self:
        if self._is_charged:
            self._servers.open_bills.add(self._used.bill)
            try:
                await to_the_end(self._database.write(self._hold))
            except asyncio.CancelledError:
                await self._give_up()
                raise
            except BaseException:
                self._servers.open_bills.discard(self._used.bill)
                raise
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            await self._give_up()
        else:
            await to_the_end(asyncio.ensure_future(self._settle()))

    async def _settle(self) -> None:
        try:
            await self._database.write(self._charge)
        except BaseException:
            # The transaction was rolled back; or committed, and the connection lost before that was known.
            self._servers.settle_later(self._used.bill, self._charge_once if self.is_delivered else self._void)
            if not self.is_delivered:
                raise
        else:
            self._servers.open_bills.discard(self._used.bill)

    async def _give_up(self) -> None:
        """Release the hold, if there is one."""
        if not self._is_charged:
            return
        try:
            await to_the_end(self._database.write(self._void))
            self._servers.open_bills.discard(self._used.bill)
        except BaseException as error:
            self._servers.settle_later(self._used.bill, self._void)
            if not isinstance(error, Exception):
                raise

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

    def _charge_once(self, connection: Connection) -> None:
        if not is_counted(connection, self._used.bill):
            self._charge(connection)

    def _void(self, connection: Connection) -> None:
        if not credit.release(connection, self._used.bill):
            uncount(connection, self._used.bill)

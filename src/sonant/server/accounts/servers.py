"""The servers that share the database, with heartbeats: holds of a dead server are released."""

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Connection, delete, insert, or_, select, update

from sonant.server.accounts.credit import GIVE_BACK, release
from sonant.server.accounts.database import Database
from sonant.server.accounts.tables import holds, servers
from sonant.server.errors import ApiError

BEAT_SECONDS = 5.0
SILENCE_SECONDS = 30  # without a heartbeat, after which a server counts as dead

logger = logging.getLogger(__name__)


class Servers:
    """This server, among those that share a database.

    Attributes:
        open_bills: bills of running requests. Holds of other bills of this server are released with a heartbeat.

    A killed server on the same Linux machine is detected at once by its process, any other after half a minute without
    a heartbeat.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.id = uuid4().hex
        self.open_bills: set[str] = set()
        self._unsettled: dict[str, Callable[[Connection], None]] = {}

    def settle_later(self, bill: str, work: Callable[[Connection], None]) -> None:
        """End a bill with the next heartbeat that the database takes; `work` has no effect if it was done already."""
        self._unsettled[bill] = work
        self.open_bills.discard(bill)

    async def beat(self) -> None:
        """Record a heartbeat, end unsettled bills, and release the holds of dead servers."""
        unsettled = dict(self._unsettled)
        await self._database.write(lambda connection: self._beat(connection, unsettled))
        for bill in unsettled:
            del self._unsettled[bill]

    async def probe(self) -> None:
        """Write the least that can be written. Raises DatabaseUnavailable."""
        mine = update(servers).where(servers.c.id == self.id).values(heartbeat=int(time.time()))
        await self._database.write(lambda connection: connection.execute(mine).rowcount)

    async def leave(self) -> None:
        """End unsettled bills, and record that this server has ended without holds."""
        await self.beat()
        await self._database.write(
            lambda connection: connection.execute(delete(servers).where(servers.c.id == self.id)).rowcount
        )

    def _beat(self, connection: Connection, unsettled: Mapping[str, Callable[[Connection], None]]) -> None:
        now = int(time.time())
        mine = update(servers).where(servers.c.id == self.id)
        if connection.execute(mine, {"heartbeat": now}).rowcount == 0:  # first heartbeat, or considered dead
            connection.execute(insert(servers), {"id": self.id, "process": this_process(), "heartbeat": now})
        others = connection.execute(select(servers.c.id, servers.c.process).where(servers.c.process.is_not(None)))
        gone = [row.id for row in others if is_gone(row.process)]
        connection.execute(
            delete(servers).where(or_(servers.c.heartbeat < now - SILENCE_SECONDS, servers.c.id.in_(gone)))
        )
        for bill, work in unsettled.items():
            try:
                work(connection)
            except ApiError as error:  # the credit was spent after other servers had released the hold
                logger.warning("a request could not be charged", extra={"bill": bill, "reason": error.code})
        for bill in connection.scalars(select(holds.c.id).where(holds.c.server_id == self.id)).all():
            if bill not in self.open_bills and bill not in self._unsettled:
                release(connection, bill)
        given_back: Counter[int] = Counter()
        lost = delete(holds).where(holds.c.server_id.not_in(select(servers.c.id)))
        for row in connection.execute(lost.returning(holds.c.user_id, holds.c.amount)):
            given_back[row.user_id] += row.amount
        for user_id, amount in sorted(given_back.items()):  # in a fixed order, to avoid deadlocks between servers
            connection.execute(GIVE_BACK, {"user": user_id, "amount": amount})


def this_process() -> str | None:
    """Identify this process by boot id, PID namespace and PID; None where they are unknown."""
    try:
        machine = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{machine} {Path('/proc/self/ns/pid').readlink()} {os.getpid()}"
    except OSError:
        return None


def is_gone(process: str) -> bool:
    """Return whether a process is known to have ended; False if unknown, as on another machine."""
    where, _, number = process.rpartition(" ")
    ours = this_process()
    return ours is not None and ours.rpartition(" ")[0] == where and not Path(f"/proc/{number}").exists()

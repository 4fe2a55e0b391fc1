"""The servers that share the database, with heartbeats: holds of a dead server are released."""

import os
import time
from collections import Counter
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Connection, delete, insert, or_, select, update

from sonant.server.accounts.credit import GIVE_BACK, release
from sonant.server.accounts.database import Database
from sonant.server.accounts.tables import holds, servers

BEAT_SECONDS = 5.0
SILENCE_SECONDS = 30  # without a heartbeat, after which a server counts as dead


class Servers:
    """This server, among those that share a database.

    Attributes:
        open_bills: bills of running requests. Holds of other bills of this server, whose release failed because the
            database could not be reached, are released with the next heartbeat.

    A killed server on the same Linux machine is detected at once by its process, any other after half a minute without
    a heartbeat.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.id = uuid4().hex
        self.open_bills: set[str] = set()

    async def beat(self) -> None:
        """Record a heartbeat, and release the holds of dead servers."""
        await self._database.write(self._beat)

    async def leave(self) -> None:
        """Record that this server has ended without holds."""
        await self._database.write(
            lambda connection: connection.execute(delete(servers).where(servers.c.id == self.id)).rowcount
        )

    def _beat(self, connection: Connection) -> None:
        now = int(time.time())
        mine = update(servers).where(servers.c.id == self.id)
        if connection.execute(mine, {"heartbeat": now}).rowcount == 0:  # first heartbeat, or considered dead
            connection.execute(insert(servers), {"id": self.id, "process": this_process(), "heartbeat": now})
        others = connection.execute(select(servers.c.id, servers.c.process).where(servers.c.process.is_not(None)))
        gone = [row.id for row in others if is_gone(row.process)]
        connection.execute(
            delete(servers).where(or_(servers.c.heartbeat < now - SILENCE_SECONDS, servers.c.id.in_(gone)))
        )
        for bill in connection.scalars(select(holds.c.id).where(holds.c.server_id == self.id)).all():
            if bill not in self.open_bills:
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

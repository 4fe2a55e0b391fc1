"""The servers that share the database, and whether they are alive: what a dead one held is given back."""

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
SILENCE_SECONDS = 30  # after which a server counts as dead


class Servers:
    """This server among those that share a database.

    Attributes:
        open_bills: whose requests run here. What another bill of this server still holds, because the database could
            not be reached when its request ended, is given back with the next beat.

    A server that was killed on this machine is known to be dead at once where Linux tells of its processes; anywhere
    else after half a minute without a sign of life.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.id = uuid4().hex
        self.open_bills: set[str] = set()

    async def beat(self) -> None:
        """Record that this server is alive, and release what dead ones held."""
        await self._database.write(self._beat)

    async def leave(self) -> None:
        """Record that this server has ended, with nothing held."""
        await self._database.write(
            lambda connection: connection.execute(delete(servers).where(servers.c.id == self.id)).rowcount
        )

    def _beat(self, connection: Connection) -> None:
        now = int(time.time())
        mine = update(servers).where(servers.c.id == self.id)
        if connection.execute(mine, {"heartbeat": now}).rowcount == 0:  # the first beat, or others took us for dead
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
        for user_id, amount in sorted(
            given_back.items()
        ):  # in one order everywhere: no two servers wait for each other
            connection.execute(GIVE_BACK, {"user": user_id, "amount": amount})


def this_process() -> str | None:
    """Identify this process: the machine's boot, the PID namespace and the PID; None where they are not known."""
    try:
        machine = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{machine} {Path('/proc/self/ns/pid').readlink()} {os.getpid()}"
    except OSError:
        return None


def is_gone(process: str) -> bool:
    """Return whether a process is known to have ended; False where it cannot be known, as on another machine."""
    where, _, number = process.rpartition(" ")
    ours = this_process()
    return ours is not None and ours.rpartition(" ")[0] == where and not Path(f"/proc/{number}").exists()

"""Free credit of new accounts: once for each mailbox, and for a few accounts of each network a day.

What is remembered of a mailbox is a slow hash, which stays when its account is deleted.
"""

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from sonant.server.accounts.rate_limits import DAY, Rate
from sonant.server.accounts.tables import free_credit, grants
from sonant.server.networks import network_of

WITH_THE_ACCOUNT = "with the account"  # the reason of the grant
PER_DAY: Mapping[int, Rate] = {64: Rate(10, DAY), 48: Rate(20, DAY)}  # by prefix; an IPv4 address has both
INSERT: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def brakes_on_credit(address: str) -> dict[str, Rate]:
    """Return the rates at which accounts made from an address get credit, for `RateLimits.take`."""
    return {f"free credit /{prefix} {network_of(address, prefix)}": rate for prefix, rate in PER_DAY.items()}


def has_had(connection: Connection, user_id: int) -> bool:
    """Return whether an account was given credit when it was new."""
    query = select(grants.c.id).where(grants.c.user_id == user_id, grants.c.reason == WITH_THE_ACCOUNT)
    return connection.execute(query).first() is not None


def claim(connection: Connection, mailbox_hash: str) -> bool:
    """Remember that a mailbox has had its free credit; return False if it had before."""
    row = {"mailbox": mailbox_hash, "created": int(time.time())}
    query = INSERT[connection.dialect.name](free_credit).on_conflict_do_nothing()
    return connection.execute(query, row).rowcount == 1

"""The audit log ends with its days, and names nobody whose account is deleted."""

import asyncio
import time
from contextlib import suppress
from decimal import Decimal

from sqlalchemy import select, update

from sonant.server.accounts.accounts import Accounts
from sonant.server.accounts.rate_limits import DAY
from sonant.server.accounts.tables import audit, metadata
from sonant.server.errors import ApiError

PASSWORD = "four words in a row"
HERE = "192.0.2.1"


def test_entries_end_after_their_days(settings):
    async def main():
        async with Accounts(settings) as accounts:
            for days in (366, 364, 0):
                await accounts.audit.record("counted", by="test", detail=str(days))
                old = update(audit).where(audit.c.detail == str(days)).values(created=int(time.time() - days * DAY))
                await accounts._database.write(lambda connection, old=old: connection.execute(old).rowcount)
            await accounts.audit.clear_expired(settings.accounts.audit_days)
            return [entry.detail for entry in await accounts.audit.entries()]

    assert asyncio.run(main()) == ["0", "364"]


def test_a_deleted_account_is_a_number(settings):
    """Nowhere in the database is an address of hers left; who did what to whom is still told."""

    async def main():
        async with Accounts(settings) as accounts:
            ada = await accounts.users.sign_up("ada@example.org", PASSWORD, address=HERE)
            bob = await accounts.users.create("bob@example.org", PASSWORD, is_admin=True, by="test")
            await accounts.keys.create(ada.id, "Ada's laptop", by=ada.email, address=HERE)
            await accounts.users.set_admin(ada.id, True, by=bob.email, address="192.0.2.2")
            await accounts.credit.grant(bob.id, Decimal(1), by=ada.email, address=HERE)
            with suppress(ApiError):
                await accounts.credentials.check(ada.email, "wrong", address=HERE)
            await accounts.users.delete(ada.id, by=ada.email, address=HERE)
            entries = [(entry.by, entry.action, entry.target) for entry in await accounts.audit.entries()]

            def everything(connection):
                return [tuple(row) for table in metadata.tables.values() for row in connection.execute(select(table))]

            return ada, entries, str(await accounts._database.read(everything))

    ada, entries, everything = asyncio.run(main())
    former = f"former user {ada.id}"
    assert entries[:5] == [
        (former, "user deleted", former),
        ("unknown", "sign-in failed", former),
        (former, "credit granted", "bob@example.org"),
        ("bob@example.org", "administrator made", former),
        (former, "key made", entries[4][2]),
    ]
    assert all(word not in everything.lower() for word in ("ada@", "ada's", HERE))
    assert "192.0.2.2" in everything

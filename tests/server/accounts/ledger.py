"""What must be true of everybody's money at every moment, read from the database itself."""

from typing import Any, NamedTuple

from sqlalchemy import create_engine, func, select, text

from sonant.server.accounts.tables import grants, holds, usage, users


class Books(NamedTuple):
    """Of all users together, in billionths."""

    granted: int
    credit: int
    held: int
    spent: int
    requests: int


def audited(url: str) -> Books:
    """Check the law for each user, and return the sums."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":  # all sums of one moment, while others write
                connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            else:
                connection.exec_driver_sql("BEGIN")
            credit: dict[int, int] = dict(connection.execute(select(users.c.id, users.c.credit)).all())
            granted, held, spent = (
                dict(connection.execute(select(table.c.user_id, func.sum(column)).group_by(table.c.user_id)).all())
                for table, column in ((grants, grants.c.amount), (holds, holds.c.amount), (usage, usage.c.cost))
            )
            requests = connection.execute(select(func.count()).select_from(usage)).scalar_one()
    finally:
        engine.dispose()
    for user, left in credit.items():
        assert left >= 0
        assert granted.get(user, 0) == left + held.get(user, 0) + spent.get(user, 0), f"user {user}"
    return Books(_sum(granted), sum(credit.values()), _sum(held), _sum(spent), requests)


def _sum(amounts: dict[int, Any]) -> int:
    return int(sum(amounts.values()))

"""Credit of users. Invariant for every user: granted = credit + held + spent, exactly.

Amounts are `Decimal` in the currency of the accounts, and integers in billionths of it in the database.
"""

import time
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from sonant.server.accounts.audit import note
from sonant.server.accounts.database import Database
from sonant.server.accounts.tables import grants, holds, users
from sonant.server.errors import ApiError

DIGITS = 9  # decimal places
MOST = 10 ** (9 + DIGITS)  # a billion of the currency; BIGINT can hold nine billion


@dataclass(frozen=True)
class Grant:
    """An addition to the credit, or a deduction if negative."""

    amount: Decimal
    reason: str
    by: str
    created: int


def to_units(amount: Decimal) -> int:
    """Convert an amount to the database's units, rounded to the nearest billionth, half to even."""
    return int(amount.scaleb(DIGITS).to_integral_value())


def from_units(units: int) -> Decimal:
    """Convert the database's units to an amount in the currency."""
    return Decimal(units).scaleb(-DIGITS)


TAKE = (
    update(users)
    .where(users.c.id == bindparam("user"), users.c.credit >= bindparam("amount"))
    .values(credit=users.c.credit - bindparam("amount"))
)
GIVE_BACK = update(users).where(users.c.id == bindparam("user")).values(credit=users.c.credit + bindparam("amount"))
GIVE = GIVE_BACK.where((users.c.credit + bindparam("amount")).between(0, MOST))
KEEP = insert(holds)
DROP = delete(holds).where(holds.c.id == bindparam("bill")).returning(holds.c.user_id, holds.c.amount)
CREDIT = select(users.c.credit).where(users.c.id == bindparam("user"))


def take(connection: Connection, user_id: int, amount: int, *, more_credit: str = "") -> None:
    """Deduct an amount from the credit. Raises ApiError 402: insufficient credit; it says how to get `more_credit`."""
    if connection.execute(TAKE, {"user": user_id, "amount": amount}).rowcount != 1:
        credit = connection.execute(CREDIT, {"user": user_id}).scalar() or 0
        raise insufficient(from_units(amount), from_units(credit), more_credit)


def insufficient(cost: Decimal, credit: Decimal, more_credit: str = "") -> ApiError:
    """Make the error for a request that costs more than the credit; it says how to get `more_credit`."""
    cost = from_units(to_units(cost))
    return ApiError(
        402,
        "insufficient_credit",
        f"This request costs {plain(cost)}, and {plain(credit)} of the account's credit is free: not held by running "
        f"requests. Send less, or get more credit: {more_credit or 'ask the operator of this server.'}",
    )


def hold(
    connection: Connection, *, bill: str, user_id: int, server_id: str, amount: int, more_credit: str = ""
) -> None:
    """Hold the cost of a request. Raises as `take` does."""
    take(connection, user_id, amount, more_credit=more_credit)
    row = {"id": bill, "user_id": user_id, "server_id": server_id, "amount": amount, "created": int(time.time())}
    connection.execute(KEEP, row)


def drop(connection: Connection, bill: str) -> bool:
    """Delete a hold without crediting its amount; False if there is none."""
    return connection.execute(DROP, {"bill": bill}).first() is not None


def release(connection: Connection, bill: str) -> bool:
    """Release the hold of a request; False if there is none."""
    held = connection.execute(DROP, {"bill": bill}).first()
    if held is None:
        return False
    connection.execute(GIVE_BACK, {"user": held.user_id, "amount": held.amount})
    return True


def give(connection: Connection, user_id: int, amount: Decimal, *, reason: str, by: str) -> Decimal:
    """Add to the credit, and return the new credit.

    Raises ApiError 400: invalid amount, or the credit would be negative or above a billion. 404: unknown user.
    """
    units = to_units(amount) if amount.is_finite() and amount.copy_abs() <= from_units(MOST) else 0
    if units == 0:
        raise ApiError(
            400, "invalid_value", f"The amount is {amount}; expected one between {from_units(1):f} and a billion."
        )
    changed = connection.execute(GIVE, {"user": user_id, "amount": units}).rowcount
    credit = connection.execute(CREDIT, {"user": user_id}).scalar()
    if credit is None:
        raise ApiError(404, "user_not_found", f"There is no user {user_id}.")
    if changed != 1:
        raise ApiError(
            400,
            "invalid_value",
            f"The amount is {plain(amount)} and the credit {plain(from_units(credit))}; "
            "expected their sum to lie between 0 and a billion.",
        )
    row = {"user_id": user_id, "amount": units, "reason": reason[:200], "actor": by, "created": int(time.time())}
    connection.execute(insert(grants), row)
    return from_units(credit)


def plain(amount: Decimal) -> str:
    """Format an amount with at least two decimal places, without an exponent and further trailing zeros."""
    digits = -int(amount.normalize().as_tuple().exponent)
    return f"{amount:.{max(2, digits)}f}"


class Credit:
    """The credit of the users."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, user_id: int) -> Decimal:
        """Return the credit that is neither spent nor held. Raises ApiError 404: unknown user."""

        def credit(connection: Connection) -> Decimal:
            units = connection.execute(CREDIT, {"user": user_id}).scalar()
            if units is None:
                raise ApiError(404, "user_not_found", f"There is no user {user_id}.")
            return from_units(units)

        return await self._database.read(credit)

    async def grant(self, user_id: int, amount: Decimal, *, reason: str = "", by: str, address: str = "") -> Decimal:
        """Add to the credit of a user, or deduct with a negative amount; return the new credit.

        Raises ApiError 400: the credit would be negative. 404: unknown user.
        """

        def grant(connection: Connection) -> Decimal:
            credit = give(connection, user_id, amount, reason=reason, by=by)
            email = connection.execute(select(users.c.email).where(users.c.id == user_id)).scalar_one()
            detail = f"{plain(amount)}: {reason}" if reason else plain(amount)
            note(connection, "credit granted", by=by, target=email, detail=detail, address=address)
            return credit

        return await self._database.write(grant)

    async def grants(self, user_id: int) -> list[Grant]:
        """Return the grants of a user, newest first."""
        query = select(grants).where(grants.c.user_id == user_id).order_by(grants.c.id.desc())
        return await self._database.read(
            lambda connection: [
                Grant(from_units(row.amount), row.reason, row.actor, row.created) for row in connection.execute(query)
            ]
        )

"""Callers to bill."""

from decimal import Decimal
from typing import Any

from sonant.server.accounts.accounts import Accounts
from sonant.server.accounts.bill import Bill
from sonant.server.accounts.caller import Caller
from sonant.server.accounts.keys import API_SCOPES


async def new_caller(accounts: Accounts, credit: str, name: str = "ada") -> Caller:
    """A user with so much credit, as by a session."""
    user = await accounts.users.create(f"{name}@example.org", credit=Decimal(credit), by="test")
    return Caller(user.id, None, frozenset(API_SCOPES), is_admin=False, name=user.email)


def bill(accounts: Accounts, caller: Caller, cost: str, **how: Any) -> Bill:
    """A bill of a short request."""
    about: dict[str, Any] = {"request_id": "r", "model": "m", "endpoint": "embeddings", "tokens": 49}
    return accounts.bill(caller, audio_seconds=1.0, cost=Decimal(cost), **about | how)

"""Access to a server's accounts from the command line, whether it runs or not."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sonant.errors import ConfigurationError, MissingExtra, UnknownName

if TYPE_CHECKING:
    from sonant.server.accounts.accounts import Accounts
    from sonant.server.accounts.users import User

T = TypeVar("T")
ACTOR = "command line"  # in the audit log


def with_accounts(data: Path | None, database: str | None, work: "Callable[[Accounts], Awaitable[T]]") -> T:
    """Open the accounts in a server's data folder or database, and run `work` on them.

    Raises ConfigurationError: there are no accounts, or `work` fails.
    """
    try:
        from sonant.server.accounts.accounts import Accounts
        from sonant.server.errors import ApiError
        from sonant.server.settings import read_settings
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("sonant"):
            raise
        raise MissingExtra(error.name, extra="serve", purpose="sonant's server") from error
    settings = read_settings(data=data, database=database)
    file = settings.data / "sonant.db"
    if database is None and not file.exists():
        raise ConfigurationError(
            f"There are no accounts in {settings.data}: no file {file}. Name the data folder of the server with --data "
            "(or its --database), or start it once with `sonant serve`."
        )

    async def session() -> T:
        async with Accounts(settings) as accounts:
            return await work(accounts)

    try:
        return asyncio.run(session())
    except ApiError as error:
        raise ConfigurationError(error.message) from error


async def find_user(accounts: "Accounts", email: str) -> "User":
    """Find the user with this address; raise UnknownName if there is none."""
    user = await accounts.users.find(email)
    if user is None:
        raise UnknownName("user", email, [known.email for known in await accounts.users.search()])
    return user


def day(moment: int | None) -> str:
    """Return a Unix time as a date, in UTC."""
    from datetime import UTC, datetime

    return "" if moment is None else datetime.fromtimestamp(moment, UTC).date().isoformat()

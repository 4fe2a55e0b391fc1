"""A server that bills as fast as it can until it is killed; prints the name of each request that it has answered."""

import asyncio
import itertools
import sys
from pathlib import Path

from sonant.server.accounts.accounts import Accounts
from sonant.server.accounts.caller import Caller
from sonant.server.accounts.keys import API_SCOPES
from sonant.server.errors import ApiError
from sonant.server.settings import ServerSettings
from tests.server.accounts.people import bill


async def main(data: str, database: str, user_id: str) -> None:
    caller = Caller(int(user_id), None, frozenset(API_SCOPES), is_admin=False, name="")
    names = (f"{id(main)}-{i}" for i in itertools.count())
    async with Accounts(ServerSettings(data=Path(data), database=database or None)) as accounts:

        async def one(number: int) -> None:
            for name in names:
                try:
                    async with bill(accounts, caller, "0.001", request_id=name):
                        await asyncio.sleep(number / 10_000)
                        if number % 8 == 0:
                            raise KeyError("the work failed")
                except (ApiError, KeyError):
                    continue
                print(name, flush=True)

        await asyncio.gather(*(one(number) for number in range(64)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

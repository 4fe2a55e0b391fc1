"""`sonant keys`, `keys create` and `keys revoke`: the API keys of a server."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sonant.cli.json_output import print_json

if TYPE_CHECKING:
    from sonant.server.accounts.accounts import Accounts
    from sonant.server.accounts.keys import Key, NewKey


def list_keys(
    *, user: str | None = None, data: Path | None = None, database: str | None = None, json: bool = False
) -> int:
    """List the API keys of a server; the keys themselves are kept nowhere, only their first letters.

    Works while the server runs.

    Args:
        user (EMAIL): only this user's. Without it: all users'.
        data (FOLDER): of the server. Without it: sonant-data.
        database (URL): of the server, if it is not in its data folder.
        json: print a JSON list, one object per key.

    Examples:
        sonant keys
        sonant keys --user ada@example.org --json
    """
    from sonant.cli.open_accounts import day, find_user, with_accounts

    async def rows(accounts: "Accounts") -> "list[tuple[Key, str]]":
        if user is not None:
            owner = await find_user(accounts, user)
            return [(key, owner.email) for key in await accounts.keys.of(owner.id)]
        emails: dict[int, str] = {}
        for key in (keys := await accounts.keys.all()):
            if key.user_id not in emails:
                emails[key.user_id] = (await accounts.users.get(key.user_id)).email
        return [(key, emails[key.user_id]) for key in keys]

    found = with_accounts(data, database, rows)
    if json:
        print_json([as_data(key, email) for key, email in found], indent=2)
        return 0
    from sonant.cli.console import make_console, plain_table, print_parts

    table = plain_table("id", "key", "name", "of", "scopes", "is", "made", "expires", "last used")
    for key, email in found:
        days = map(day, (key.created, key.expires, key.last_used))
        scopes = ", ".join(sorted(key.scopes))
        table.add_row(str(key.id), f"{key.prefix}...", key.name, email, scopes, key.state, *days)
    print_parts(make_console(), [table])
    return 0


def create_key(
    name: str = "command line",
    *,
    user: str | None = None,
    admin: bool = False,
    scopes: list[str] | None = None,
    days: float | None = None,
    requests_per_minute: int | None = None,
    audio_seconds_per_minute: float | None = None,
    data: Path | None = None,
    database: str | None = None,
    json: bool = False,
) -> int:
    """Make an API key. It is printed this once, and kept nowhere.

    Args:
        name: to tell the key by.
        user (EMAIL): whose it is. Without it: the first administrator's, with --admin.
        admin: may also do what an administrator may.
        scopes: what the key may do: embeddings, transcription, verification, diarization, classification, enhancement,
            separation, models, admin. Without it: everything but admin.
        days: after which it expires. Without it: never.
        requests_per_minute (N): with this key, if that is less than an account may have. Without it: no own rate.
        audio_seconds_per_minute (SECONDS): with this key, likewise.
        data (FOLDER): of the server. Without it: sonant-data.
        database (URL): of the server, if it is not in its data folder.
        json: print the key, and what is known of it, as a JSON object.

    Examples:
        sonant keys create laptop --user ada@example.org
        sonant keys create --admin
        sonant keys create ci --user robot@example.org --scopes embeddings --days 30 --requests-per-minute 60
    """
    import time

    from sonant.cli.open_accounts import ACTOR, find_user, with_accounts
    from sonant.errors import ConfigurationError

    if user is None and not admin:
        raise ConfigurationError("The key has no owner: give --user EMAIL, or --admin.")

    async def create(accounts: "Accounts") -> "tuple[NewKey, str]":
        from sonant.server.accounts.keys import API_SCOPES, Scope

        wanted = cast("list[Scope]", scopes or list(API_SCOPES))  # checked by `create`
        owner = await (accounts.first_admin() if user is None else find_user(accounts, user))
        new = await accounts.keys.create(
            owner.id,
            name,
            scopes=[*wanted, "admin"] if admin else wanted,
            expires=None if days is None else int(time.time() + days * 86_400),
            requests_per_minute=requests_per_minute,
            audio_seconds_per_minute=audio_seconds_per_minute,
            by=ACTOR,
        )
        return new, owner.email

    new, email = with_accounts(data, database, create)
    if json:
        print_json({"secret": new.secret} | as_data(new.key, email), indent=2)
    else:
        print(new.secret)
    return 0


def revoke_key(key: str, *, data: Path | None = None, database: str | None = None, json: bool = False) -> int:
    """End an API key. A running server refuses it within seconds.

    Args:
        key (ID|KEY): its number, or its first letters, as `sonant keys` lists them, or the key.
        data (FOLDER): of the server. Without it: sonant-data.
        database (URL): of the server, if it is not in its data folder.
        json: print the revoked key as a JSON object.

    Examples:
        sonant keys revoke 3
        sonant keys revoke sk-sonant-Zk4q
    """
    from sonant.cli.open_accounts import ACTOR, with_accounts

    async def revoke(accounts: "Accounts") -> "tuple[Key, str]":
        found = _one_of(await accounts.keys.all(), key)
        await accounts.keys.revoke(found.id, by=ACTOR)
        return found, (await accounts.users.get(found.user_id)).email

    revoked, email = with_accounts(data, database, revoke)
    if json:
        print_json(as_data(revoked, email) | {"state": "revoked"}, indent=2)
    else:
        print(f"{revoked.prefix}... ({revoked.name}, of {email}) is revoked.")
    return 0


def as_data(key: "Key", email: str) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(key) | {"scopes": sorted(key.scopes), "user": email, "state": key.state}


def _one_of(keys: "list[Key]", named: str) -> "Key":
    from sonant.errors import ConfigurationError, UnknownName

    found = [key for key in keys if str(key.id) == named] or [
        key for key in keys if len(named) >= len(key.prefix) and named.startswith(key.prefix)
    ]
    if not found:
        raise UnknownName("key", named[:14], [f"{key.id} ({key.prefix})" for key in keys])
    if len(found) > 1:
        raise ConfigurationError(f"{len(found)} keys begin with {named[:14]}: name one by its number.")
    return found[0]

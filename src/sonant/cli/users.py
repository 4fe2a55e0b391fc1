"""`sonant users` and the commands below it: the accounts of a server."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonant.cli.json_output import print_json

if TYPE_CHECKING:
    from decimal import Decimal

    from sonant.server.accounts.accounts import Accounts
    from sonant.server.accounts.users import User


def list_users(search: str = "", *, data: Path | None = None, database: str | None = None, json: bool = False) -> int:
    """List the users of a server: what they have left, and what they have spent.

    Works while the server runs.

    Args:
        search (TEXT): only those whose e-mail address holds it.
        data (FOLDER): of the server. Without it: sonant-data.
        database (URL): of the server, if it is not in its data folder.
        json: print a JSON list, one object per user.

    Examples:
        sonant users
        sonant users example.org --data /srv/sonant --json
    """
    from sonant.cli.open_accounts import day, with_accounts

    async def rows(accounts: "Accounts") -> list[dict[str, Any]]:
        found: list[User] = []
        while page := await accounts.users.search(search, after=found[-1].id if found else 0):
            found += page
        return [as_data(user) | {"spent": (await accounts.usage.totals(user_id=user.id)).cost} for user in found]

    users = with_accounts(data, database, rows)
    if json:
        _print_json(users)
        return 0
    from sonant.cli.console import make_console, plain_table, print_parts

    table = plain_table("e-mail", "is", "credit", "spent", "since")
    for user in users:
        words = [word for word in ("admin", "disabled") if user[f"is_{word}"]]
        table.add_row(
            user["email"], ", ".join(words), *map(_money, (user["credit"], user["spent"])), day(user["created"])
        )
    print_parts(make_console(), [table])
    return 0


def create_user(
    email: str,
    *,
    admin: bool = False,
    no_password: bool = False,
    credit: str | None = None,
    data: Path | None = None,
    database: str | None = None,
    json: bool = False,
) -> int:
    """Make an account.

    The password is asked for, or read from standard input if that is no terminal.

    Args:
        email: of the user.
        admin: may use the admin page, and have keys with the scope admin.
        no_password: the account is used by API key only.
        credit (AMOUNT): initial credit. Without it: the server's default.
        data (FOLDER): of the server. Without it: sonant-data.
        database (URL): of the server, if it is not in its data folder.
        json: print the user as a JSON object.

    Examples:
        sonant users create ada@example.org
        sonant users create robot@example.org --no-password --credit 100
        sonant users create you@example.org --admin < password.txt
    """
    from sonant.cli.open_accounts import ACTOR, with_accounts

    password = None if no_password else ask_password()
    amount = None if credit is None else read_amount(credit)
    user = with_accounts(
        data,
        database,
        lambda accounts: accounts.users.create(email, password, is_admin=admin, credit=amount, by=ACTOR),
    )
    if json:
        _print_json(as_data(user))
    else:
        print(f"{user.email} has an account, with a credit of {_money(user.credit)}.")
    return 0


def grant_credit(
    email: str,
    amount: str,
    *,
    reason: str = "",
    data: Path | None = None,
    database: str | None = None,
    json: bool = False,
) -> int:
    """Give a user credit, or take some back.

    Args:
        email: of the user.
        amount: in the currency of the server; a negative one takes back.
        reason (TEXT): for the user's account page and the audit log.
        data (FOLDER): of the server. Without it: sonant-data.
        database (URL): of the server, if it is not in its data folder.
        json: print the new credit as a JSON object.

    Examples:
        sonant users grant ada@example.org 25
        sonant users grant ada@example.org -5 --reason "given twice"
    """
    from sonant.cli.open_accounts import ACTOR, find_user, with_accounts

    units = read_amount(amount)

    async def grant(accounts: "Accounts") -> "tuple[User, Decimal]":
        user = await find_user(accounts, email)
        return user, await accounts.credit.grant(user.id, units, reason=reason, by=ACTOR)

    user, credit = with_accounts(data, database, grant)
    if json:
        _print_json({"email": user.email, "credit": credit})
    else:
        print(f"{user.email} has a credit of {_money(credit)}.")
    return 0


def change_user(
    email: str,
    *,
    admin: bool | None = None,
    disabled: bool | None = None,
    password: bool = False,
    data: Path | None = None,
    database: str | None = None,
    json: bool = False,
) -> int:
    """Change the rights or the password of a user.

    A disabled user can neither sign in nor use a key, and loses nothing. A running server follows within seconds.

    Args:
        email: of the user.
        admin (yes|no): whether the user is an administrator.
        disabled (yes|no): whether the user is shut out.
        password: give a new password: it is asked for, or read from standard input; all sessions end.
        data (FOLDER): of the server. Without it: sonant-data.
        database (URL): of the server, if it is not in its data folder.
        json: print the user as a JSON object.

    Examples:
        sonant users change ada@example.org --disabled yes
        sonant users change ada@example.org --admin yes
        sonant users change admin@localhost --password
    """
    from sonant.cli.open_accounts import ACTOR, find_user, with_accounts
    from sonant.errors import ConfigurationError

    if admin is None and disabled is None and not password:
        raise ConfigurationError("Nothing was named to change: give --admin, --disabled or --password.")
    secret = ask_password() if password else None

    async def change(accounts: "Accounts") -> "User":
        user = await find_user(accounts, email)
        if secret is not None:
            await accounts.users.set_password(user.id, secret, by=ACTOR)
        if admin is not None:
            await accounts.users.set_admin(user.id, admin, by=ACTOR)
        if disabled is not None:
            await accounts.users.set_disabled(user.id, disabled, by=ACTOR)
        return await accounts.users.get(user.id)

    user = with_accounts(data, database, change)
    if json:
        _print_json(as_data(user))
    else:
        is_admin = "is an administrator" if user.is_admin else "is no administrator"
        print(f"{user.email} {is_admin} and {'is disabled' if user.is_disabled else 'may sign in'}.")
    return 0


def delete_user(email: str, *, data: Path | None = None, database: str | None = None, json: bool = False) -> int:
    """Delete a user with their keys, votes and credit. What they used stays in the sums, without their name.

    Args:
        email: of the user.
        data (FOLDER): of the server. Without it: sonant-data.
        database (URL): of the server, if it is not in its data folder.
        json: print the deleted user as a JSON object.

    Examples:
        sonant users delete ada@example.org
    """
    from sonant.cli.open_accounts import ACTOR, find_user, with_accounts

    async def delete(accounts: "Accounts") -> "User":
        user = await find_user(accounts, email)
        await accounts.users.delete(user.id, by=ACTOR)
        return user

    user = with_accounts(data, database, delete)
    if json:
        _print_json(as_data(user))
    else:
        print(f"{user.email} has no account any more.")
    return 0


def as_data(user: "User") -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(user)


def ask_password() -> str:
    """Read a password from the terminal, typed twice, or from the first line of standard input."""
    from getpass import getpass

    from sonant.errors import ConfigurationError

    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass("Password: ")
    if getpass("Once more: ") != password:
        raise ConfigurationError("The two passwords differ: type them again.")
    return password


def read_amount(text: str) -> "Decimal":
    """Return an amount as a number; raise ConfigurationError if it is none."""
    from decimal import Decimal, InvalidOperation

    from sonant.errors import ConfigurationError

    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite():
        raise ConfigurationError(f"The amount is {text!r}; expected a number such as 25 or 0.5.")
    return amount


def _money(amount: "Decimal") -> str:
    from sonant.server.accounts.credit import plain

    return plain(amount)


def _print_json(data: Any) -> None:
    from decimal import Decimal

    def plain(value: Decimal) -> str:
        return f"{value:f}"

    print_json(data, indent=2, default=plain)

"""`sonant users` and `sonant keys`, while the server runs and while it does not."""

import asyncio
import io
import json
import os
import subprocess
import sys
from decimal import Decimal

import pytest

from sonant.cli import main
from sonant.server.accounts.accounts import Accounts
from sonant.server.settings import ServerSettings

PASSWORD = "four words in a row"


@pytest.fixture
def data(tmp_path):
    """The data folder of a server that has run once, with a user, ada."""

    async def run_once():
        async with Accounts(ServerSettings(data=tmp_path / "data")) as accounts:
            await accounts.first_admin_key()
            await accounts.users.create("ada@example.org", by="test")

    asyncio.run(run_once())
    return tmp_path / "data"


@pytest.fixture
def sonant(data, capsys):
    """Run a command on that folder: what it printed, as JSON or lines."""

    def run(*words: str, code: int = 0) -> str:
        assert main([*words, "--data", str(data)]) == code
        shown = capsys.readouterr()
        assert bool(shown.err) == bool(code)
        return shown.err if code else shown.out

    return run


@pytest.fixture
def typed(monkeypatch):
    """What stands on standard input."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_the_list_of_users(sonant):
    heading, *lines = sonant("users").splitlines()
    assert heading.split() == ["e-mail", "is", "credit", "spent", "since"]
    assert [line.split()[0] for line in lines] == ["admin@localhost", "ada@example.org"]
    (ada,) = json.loads(sonant("users", "ada", "--json"))
    assert (ada["email"], ada["is_admin"], Decimal(ada["credit"]), Decimal(ada["spent"])) == (
        "ada@example.org",
        False,
        5,
        0,
    )
    assert "hash" not in " ".join(ada)


def test_an_account_from_birth_to_death(sonant, typed, data):
    typed(f"{PASSWORD}\n")
    assert "credit of 12.50" in sonant("users", "create", "Bob@example.org", "--credit", "12.5")
    assert "credit of 10.00" in sonant("users", "grant", "bob@example.org", "-2.5", "--reason", "too much")
    assert "is an administrator and is disabled" in sonant(
        "users", "change", "bob@example.org", "--admin", "yes", "--disabled", "yes"
    )
    assert "may sign in" in sonant("users", "change", "bob@example.org", "--disabled", "no")

    async def sign_in(password):
        async with Accounts(ServerSettings(data=data)) as accounts:
            return (await accounts.credentials.check("bob@example.org", password, address="")).is_admin

    assert asyncio.run(sign_in(PASSWORD))
    typed("a better password")
    sonant("users", "change", "bob@example.org", "--password")
    assert asyncio.run(sign_in("a better password"))
    sonant("users", "delete", "bob@example.org")
    assert [user["email"] for user in json.loads(sonant("users", "--json"))] == ["admin@localhost", "ada@example.org"]


def test_what_the_command_line_did_is_in_the_log(sonant, data):
    sonant("users", "grant", "ada@example.org", "1")

    async def last():
        async with Accounts(ServerSettings(data=data)) as accounts:
            return (await accounts.audit.entries(limit=1))[0]

    entry = asyncio.run(last())
    assert (entry.by, entry.action, entry.target) == ("command line", "credit granted", "ada@example.org")


def test_a_key_from_birth_to_death(sonant):
    secret = sonant("keys", "create", "laptop", "--user", "ada@example.org", "--days", "30").strip()
    assert secret.startswith("sk-sonant-")
    key, first = json.loads(sonant("keys", "--json"))
    assert (key["name"], key["user"], key["state"]) == ("laptop", "ada@example.org", "live")
    assert key["expires"] - key["created"] == 30 * 86_400
    assert secret not in sonant("keys") + sonant("keys", "--json")
    assert "laptop" in sonant("keys", "revoke", secret)
    assert "ada@example.org" in sonant("keys", "revoke", str(key["id"]))  # a second time does no harm
    (mine,) = json.loads(sonant("keys", "--user", "ada@example.org", "--json"))
    assert mine["state"] == "revoked"
    assert first["state"] == "live"


def test_a_key_may_do_little(sonant):
    options = ("--scopes", "embeddings,models", "--requests-per-minute", "6", "--audio-seconds-per-minute", "90.5")
    key = json.loads(sonant("keys", "create", "ci", "--user", "ada@example.org", *options, "--json"))
    assert key["scopes"] == ["embeddings", "models"]
    assert (key["requests_per_minute"], key["audio_seconds_per_minute"]) == (6, 90.5)


def test_a_lost_admin_key_is_replaced(sonant, data):
    secret = sonant("keys", "create", "--admin").strip()

    async def holder():
        async with Accounts(ServerSettings(data=data)) as accounts:
            return await accounts.keys.recognize(secret)

    found = asyncio.run(holder())
    assert (found.email, found.is_admin, "admin" in found.key.scopes) == ("admin@localhost", True, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["users", "grant", "adda@example.org", "1"], "Did you mean 'ada@example.org'"),
        (["users", "grant", "ada@example.org", "much"], "expected a number"),
        (["users", "grant", "ada@example.org", "-6"], "between 0 and a billion"),
        (["users", "change", "ada@example.org"], "Nothing was named to change"),
        (["users", "change", "admin@localhost", "--admin", "no"], "last administrator"),
        (["users", "create", "ada@example.org", "--no-password"], "has an account already"),
        (["users", "create", "bob", "--no-password"], "no e-mail address"),
        (["keys", "create", "laptop"], "--user EMAIL, or --admin"),
        (["keys", "create", "x", "--user", "ada@example.org", "--admin"], "no administrator"),
        (["keys", "create", "x", "--user", "ada@example.org", "--scopes", "models,embedings"], "'embeddings'"),
        (["keys", "revoke", "99"], "There is no key '99'"),
        (["keys", "revoke", "sk-sonant-"], "There is no key"),
    ],
)
def test_wrong_use_is_2_and_says_why(words, message, sonant):
    shown = sonant(*words, code=2)
    assert message in shown
    assert "Traceback" not in shown


def test_a_short_password_is_refused(sonant, typed):
    typed("short\n")
    assert "expected 10 to" in sonant("users", "create", "bob@example.org", code=2)


def test_a_folder_without_accounts_stays_without(tmp_path, capsys):
    assert main(["users", "--data", str(tmp_path)]) == 2
    assert "--data" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_server_may_be_running(sonant, data):
    """It sees at once what the command line made, and within seconds what it ended."""
    from sonant.server.accounts import recent

    async def work():
        async with Accounts(ServerSettings(data=data)) as server:
            secret = (await asyncio.to_thread(sonant, "keys", "create", "x", "--user", "ada@example.org")).strip()
            key = (await server.keys.recognize(secret)).key
            busy = asyncio.gather(*(server.audit.record("x", by="test") for _ in range(200)))
            await asyncio.to_thread(sonant, "keys", "revoke", str(key.id))
            await busy
            server.keys._recent._entries.clear()  # as if recent.SECONDS had passed
            return (await server.keys.recognize(secret)).key.state

    assert recent.SECONDS <= 10
    assert asyncio.run(work()) == "revoked"


def test_an_answer_comes_without_torch(data):
    code = """
import sys
from sonant.cli import main
code = main(["keys", "--data", sys.argv[1]])
sys.exit(3 if "torch" in sys.modules or "numpy" in sys.modules else code)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(data)], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr or "torch was imported"
    assert "first admin key" in done.stdout

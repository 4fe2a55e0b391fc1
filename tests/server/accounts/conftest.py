"""Databases to keep accounts in: a file of SQLite, and PostgreSQL."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from sonant.server.accounts import passwords
from sonant.server.settings import ServerSettings


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> ServerSettings:
    """Of a server with an empty database."""
    if request.param == "sqlite":
        return ServerSettings(data=tmp_path / "data")
    new_database: Callable[[], str] = request.getfixturevalue("postgresql")
    return ServerSettings(data=tmp_path / "data", database=new_database())


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """argon2 as quick as it can be: these tests guess no passwords."""
    monkeypatch.setattr(passwords, "SCRYPT", {"n": 2, "r": 8, "p": 1})
    monkeypatch.setattr(passwords, "PasswordHasher", partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1))

"""Databases to keep accounts in: a file of SQLite, and a cluster of PostgreSQL where one can be made."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

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
    monkeypatch.setattr(passwords, "PasswordHasher", partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Callable[[], str]]:
    """A cluster for this session; each call makes an empty database and gives its address."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs or find_spec("psycopg") is None:
        pytest.skip("PostgreSQL's server or psycopg is not installed")
    owner = None
    if os.geteuid() == 0:  # it refuses to run as root
        with suppress(KeyError):
            owner = pwd.getpwnam("postgres").pw_name
        if owner is None:
            pytest.skip("root may not run PostgreSQL, and there is no user postgres")
    folder = Path(tempfile.mkdtemp(prefix="sonant-postgresql-"))
    if owner is not None:
        shutil.chown(folder, owner)

    def carry_out(program: str, *arguments: str) -> None:
        command = [programs[-1] / program, *arguments]
        subprocess.run(command, user=owner, cwd=folder, check=True, capture_output=True, timeout=60)

    cluster, options = str(folder / "cluster"), f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
    try:
        carry_out("initdb", "-D", cluster, "-U", "sonant", "-A", "trust", "-N")
        carry_out("pg_ctl", "-D", cluster, "-w", "-l", str(folder / "log"), "-o", options, "start")

        def new_database() -> str:
            name = f"accounts_{uuid4().hex}"
            carry_out("createdb", "-h", str(folder), "-U", "sonant", name)
            return f"postgresql+psycopg://sonant@/{name}?host={folder}"

        yield new_database
    finally:
        with suppress(subprocess.CalledProcessError):
            carry_out("pg_ctl", "-D", cluster, "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder)

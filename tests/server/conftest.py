"""One server for all tests that only ask it things, and a cluster of PostgreSQL where one can be made."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from tests.server.running import RunningServer


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator["RunningServer"]:
    """With the shipped model, on a data folder of its own."""
    from sonant.server.settings import ServerSettings
    from tests.server.running import running

    with running(ServerSettings(data=tmp_path_factory.mktemp("server"))) as up:
        yield up


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

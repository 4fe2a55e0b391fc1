"""A `sonant serve` in a process of its own, watched from outside; its accounts are read by plain SQL."""

import asyncio
import ctypes
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

READY_SECONDS = 120.0
PR_SET_PDEATHSIG = 1  # of linux/prctl.h
WITHOUT_END = 1_000_000_000  # requests or seconds of audio a minute: the rate of an account is not what is measured


@dataclass
class ServerProcess:
    """A server on a data folder; it may be killed and started again.

    Attributes:
        data: its folder.
        model: the model that it serves.
        port: of 127.0.0.1.
        ready_seconds: from the command to the first success of /ready.
        settings: others than the defaults, as in a file of settings.
    """

    data: Path
    model: str
    port: int = 0
    ready_seconds: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start the server, and return when /ready succeeds."""
        self.port = self.port or free_port()
        rates = {"requests_per_minute": WITHOUT_END, "audio_seconds_per_minute": float(WITHOUT_END)}
        config = self.data / "sonant.yaml"
        config.write_text(json.dumps({"accounts": rates, **self.settings}))  # JSON is YAML
        words = [sys.executable, "-m", "sonant", "serve", "--data", str(self.data), "--port", str(self.port)]
        words += ["--config", str(config)]
        start = monotonic()
        with (self.data / "server.log").open("ab") as log:
            words += ["--model", self.model]
            self.process = subprocess.Popen(
                words,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - no other thread is running
            )
        while not self._is_ready():
            if self.process.poll() is not None or monotonic() > start + READY_SECONDS:
                raise RuntimeError(f"the server did not start: see {self.data / 'server.log'}")
            sleep(0.05)
        self.ready_seconds = monotonic() - start

    def stop(self) -> int:
        """Stop it with SIGTERM, and return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(90)

    def kill(self) -> None:
        """Kill it with SIGKILL, as abruptly as a power cut."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def _is_ready(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=5) as told:
                return bool(told.status == 200)
        except (URLError, OSError):
            return False

    @contextmanager
    def memory(self, every_seconds: float = 1.0) -> Iterator[list[float]]:
        """Record the MiB that it and its children hold, at intervals while the block runs."""
        noted: list[float] = []
        ended = threading.Event()

        def watch() -> None:
            assert self.process is not None
            while not ended.wait(every_seconds):
                noted.append(sum(map(resident_mib, family(self.process.pid))))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield noted
        finally:
            ended.set()
            thread.join()


def end_with_parent() -> None:
    """Have this process killed when the one that started it ends in any way, on Linux."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def family(pid: int) -> list[int]:
    """Return the ids of a process and all its descendants, on Linux."""
    children: list[int] = []
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children += [int(child) for child in tasks.read_text().split()]
        except OSError:
            continue
    return [pid, *(member for child in children for member in family(child))]


def resident_mib(pid: int) -> float:
    """Return the memory of a process in MiB, in which a page shared by several counts by its share."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def make_keys(data: Path, number: int, credit: Decimal, *, name: str = "client", keys: int = 1) -> list[str]:
    """Make so many users with so many API keys each, in the database of a data folder, and return all keys."""
    from sonant.server.accounts.accounts import Accounts
    from sonant.server.settings import ServerSettings

    async def make() -> list[str]:
        async with Accounts(ServerSettings(data=data)) as accounts:
            secrets = []
            for index in range(number):
                user = await accounts.users.create(f"{name}{index}@example.org", credit=credit, by="benchmark")
                secrets += [(await accounts.keys.create(user.id, "load", by="benchmark")).secret for _ in range(keys)]
            return secrets

    data.mkdir(parents=True, exist_ok=True)
    data.chmod(0o700)
    return asyncio.run(make())


@dataclass(frozen=True)
class Books:
    """The accounts in the database.

    Attributes:
        unbalanced: the number of users whose grants are not the sum of credit, held and spent amounts.
        held: the number of requests whose cost is still held.
        request_ids: the ids of charged requests, one per charge.
    """

    unbalanced: int
    held: int
    request_ids: Sequence[str]

    @classmethod
    def read(cls, data: Path) -> "Books":
        sums = """
            SELECT COUNT(*) FROM users WHERE
              (SELECT COALESCE(SUM(amount), 0) FROM grants WHERE user_id = users.id)
              != credit + (SELECT COALESCE(SUM(amount), 0) FROM holds WHERE user_id = users.id)
                        + (SELECT COALESCE(SUM(cost), 0) FROM usage WHERE user_id = users.id)
        """
        with closing(sqlite3.connect(data / "sonant.db")) as database:
            (unbalanced,) = database.execute(sums).fetchone()
            (held,) = database.execute("SELECT COUNT(*) FROM holds").fetchone()
            return cls(unbalanced, held, [row for (row,) in database.execute("SELECT request_id FROM usage")])

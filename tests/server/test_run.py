"""The server starts with clear errors or an address, and stops without dropping what it works on."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from time import monotonic, sleep
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from sonant.errors import CheckpointError, ConfigurationError
from sonant.server.metrics import Metrics
from sonant.server.operations.body_limits import BodyLimits
from sonant.server.run import Server, bind, make_data_folder, run, write_secret
from sonant.server.services import Services
from sonant.server.settings import ServerSettings
from tests.server.operations.standing import answer, connect, head

EXAMPLE = Path(__file__).parent.parent.parent / "examples/speech/en-allison-busy.flac"


def test_a_secret_is_never_readable_by_others(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_secret(tmp_path / "key", "one")
        (tmp_path / "key").chmod(0o666)
        write_secret(tmp_path / "key", "two")
    finally:
        os.umask(before)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "key").read_text() == "two\n"


def test_a_new_data_folder_belongs_to_its_owner(tmp_path: Path) -> None:
    make_data_folder(tmp_path / "deep/data")
    assert (tmp_path / "deep/data").stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "deep/data").iterdir()) == []
    make_data_folder(tmp_path / "deep/data")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"file/data cannot be written: Not a directory.*--data"):
        make_data_folder(tmp_path / "file/data")


def test_a_device_that_is_not_there_is_named_before_anything_is_made(tmp_path: Path) -> None:
    settings = ServerSettings(devices=("nowhere",), data=tmp_path / "data", port=0)
    with pytest.raises(ConfigurationError, match="The device 'nowhere' cannot be used here"):
        run(settings, announce=lambda _: pytest.fail("it was started"))
    assert not list(tmp_path.iterdir())


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"Port {port} .* another program .*--port"):
            bind("127.0.0.1", port)


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"192\.0\.2\.1 cannot be listened on.*--host"):
        bind("192.0.2.1", 0)


class Work:
    """An application whose work takes as long as it is told."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.slots = [SimpleNamespace(id="org/a", state="live", error=None)]
        self.events: list[str] = []
        nothing: Any = None
        self.accounts = SimpleNamespace(first_admin_key=self.first_admin_key)
        models: Any = SimpleNamespace(hosted=lambda: self.slots)
        self.services = Services(ServerSettings(), models, nothing, nothing, self.accounts, Metrics())  # type: ignore[arg-type]
        self.app = FastAPI(lifespan=self.lifespan)
        self.app.state.services = self.services
        self.app.add_api_route("/v1/x", self.work, methods=["POST"])
        self.app.add_api_route("/ready", lambda: PlainTextResponse(str(self.services.draining)), methods=["POST"])
        self.app.add_middleware(BodyLimits, services=self.services)

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        self.events.append("started")
        yield
        self.events.append("stopped")

    async def work(self) -> PlainTextResponse:
        await asyncio.to_thread(self.may_end.wait, 10)
        return PlainTextResponse("done")

    async def first_admin_key(self) -> str:
        self.events.append("key")
        return "sk-first"


@contextmanager
def serving(work: Work, settings: ServerSettings) -> Iterator[tuple[Server, int, threading.Thread, list[Any]]]:
    """The server, its port, the thread it runs in, and what it announced or raised."""
    told: list[Any] = []
    is_up = threading.Event()
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]

    def announce(text: str) -> None:
        told.append(text)
        is_up.set()

    server = Server(settings, work.app, announce)

    def run() -> None:
        with listener:
            try:
                asyncio.run(server.serve_until_stopped(listener))
            except CheckpointError as error:
                told.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert is_up.wait(10)
    try:
        yield server, port, thread, told
    finally:
        work.may_end.set()
        if thread.is_alive():
            server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


def test_the_greeting_says_where_and_the_key_is_kept(tmp_path: Path) -> None:
    work = Work()
    settings = ServerSettings(data=tmp_path, anonymous=True)
    with serving(work, settings) as (_, port, _, told):
        assert work.events == ["started", "key"]
        for part in (f"http://127.0.0.1:{port}/v1", "sk-first", str(tmp_path / "admin_key"), "without a key"):
            assert part in told[0]
        assert (tmp_path / "admin_key").read_text() == "sk-first\n"
    assert work.events[-1] == "stopped"


def test_a_stop_lets_running_work_finish_and_refuses_new(tmp_path: Path) -> None:
    work = Work()
    with serving(work, ServerSettings(data=tmp_path)) as (server, port, thread, _):
        with connect(port) as running, connect(port) as other, connect(port) as probe:
            running.sendall(head(length=0))
            while not work.services.workload.num_running:
                sleep(0.01)
            server.handle_exit(signal.SIGTERM, None)
            probe.sendall(head("/ready", length=0))
            assert answer(probe)[2] == b"True", "the port stays open, so that a balancer can see it"
            other.sendall(head(length=0))
            status, headers, body = answer(other)
            assert (status, json.loads(body)["error"]["code"]) == (503, "server_is_draining")
            assert headers["connection"] == "close"
            sleep(0.3)
            assert thread.is_alive()
            work.may_end.set()
            assert answer(running)[::2] == (200, b"done")
        thread.join(3)
        assert not thread.is_alive()
    assert work.events[-1] == "stopped"


def test_a_stop_with_nothing_to_do_is_quick(tmp_path: Path) -> None:
    with serving(Work(), ServerSettings(data=tmp_path)) as (server, port, thread, _), connect(port) as idle:
        start = monotonic()
        server.handle_exit(signal.SIGTERM, None)
        assert idle.recv(1) == b""
        thread.join(3)
        assert not thread.is_alive()
        assert monotonic() - start < 1.5


def test_work_that_takes_too_long_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    work = Work()
    settings = ServerSettings(data=tmp_path, drain_seconds=0.3)
    with serving(work, settings) as (server, port, thread, _), connect(port) as running:
        running.sendall(head(length=0))
        while not work.services.workload.num_running:
            sleep(0.01)
        server.handle_exit(signal.SIGTERM, None)
        thread.join(0.2)
        assert thread.is_alive()
        deadline = monotonic() + 5
        while work.events[-1] != "stopped":
            assert monotonic() < deadline
            sleep(0.01)
        work.may_end.set()  # a thread of asyncio's own pool: only the test waits for it


def test_a_server_none_of_whose_models_loads_gives_up(tmp_path: Path) -> None:
    work = Work()
    work.slots = [SimpleNamespace(id="org/a", state="loading", error=None)]
    with serving(work, ServerSettings(data=tmp_path)) as (_, _, thread, told):
        sleep(0.3)
        assert thread.is_alive()
        work.slots[0].state, work.slots[0].error = "error", "no such folder"
        thread.join(3)
    assert "org/a: no such folder" in str(told[-1])


def command(*options: object) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "sonant", "serve", *map(str, options)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "wavlm-tini"], ["'wavlm-tini'"]),
        (["--model", "./nowhere"], ["nowhere"]),
        (["--data", "/proc/nowhere"], ["/proc/nowhere", "--data"]),
        (["--config", "nowhere.yaml"], ["nowhere.yaml"]),
        (["--host", "192.0.2.1"], ["192.0.2.1", "--host"]),
    ],
)
def test_what_keeps_it_from_starting_is_said_in_one_line(options: list[str], words: list[str], tmp_path: Path) -> None:
    process = command("--data", tmp_path / "data", "--port", 0, *options)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out == ""
    assert [word for word in words if word not in err] == []
    assert "Traceback" not in err


@pytest.mark.slow
def test_the_command_serves_and_stops(tmp_path: Path) -> None:
    """Nothing configured: an address, a key that works, an answer; SIGTERM in the middle of a request; exit code 0."""
    process = command("--data", tmp_path / "data", "--port", 0)
    try:
        lines = iter(process.stdout.readline, "")
        address = next(line.split()[1] for line in lines if line.strip().startswith("API"))
        key = (tmp_path / "data/admin_key").read_text().strip()
        assert (tmp_path / "data/admin_key").stat().st_mode & 0o777 == 0o600
        deadline = monotonic() + 60
        while status(address.removesuffix("/v1") + "/ready") != 200:
            assert monotonic() < deadline
            sleep(0.1)
        answers: list[int] = []
        asking = threading.Thread(target=lambda: answers.append(embed(address, key)))
        asking.start()
        while b"sonant_in_flight_requests 2" not in urlopen(address.removesuffix("/v1") + "/metrics").read():
            if not asking.is_alive():
                break
        process.send_signal(signal.SIGTERM)
        asking.join(60)
        assert answers == [200]
        assert process.wait(30) == 0
        assert key not in process.stderr.read()
    finally:
        process.kill()
        process.communicate()


def status(address: str) -> int:
    try:
        with urlopen(address, timeout=10) as told:
            return int(told.status)
    except HTTPError as error:
        return error.code


def embed(address: str, key: str) -> int:
    boundary = b"x" * 20
    form = b"".join(
        [
            b"--%b\r\nContent-Disposition: form-data; name=model\r\n\r\nsonant/wavlm-tiny\r\n" % boundary,
            b"--%b\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n" % boundary,
            EXAMPLE.read_bytes(),
            b"\r\n--%b--\r\n" % boundary,
        ]
    )
    headers = {"Authorization": f"Bearer {key}", "Content-Type": f"multipart/form-data; boundary={boundary.decode()}"}
    with urlopen(Request(f"{address}/embeddings", form, headers), timeout=60) as told:
        return int(told.status)

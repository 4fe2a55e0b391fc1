"""The server process, with graceful shutdown."""

import asyncio
import errno
import logging
import os
import signal
import socket
from collections.abc import Callable
from importlib.util import find_spec
from math import inf
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic
from types import FrameType
from typing import Literal

import uvicorn
from fastapi import FastAPI

from sonant import __version__
from sonant.errors import CheckpointError, ConfigurationError
from sonant.models.devices import usable_devices
from sonant.server.app import create_app
from sonant.server.hosting.memory import trim_heap
from sonant.server.networks import TrustedProxies
from sonant.server.operations import logs
from sonant.server.operations.proxies import warn_of_settings
from sonant.server.services import Services
from sonant.server.settings import ServerSettings

logger = logging.getLogger(__name__)
Announce = Callable[[str], None]
EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - to be recognized, not listened on
KEEP_ALIVE_SECONDS = 75  # more than the 60 s of proxies, so that proxies close connections
TICKS_PER_SECOND = 10  # of uvicorn
MOST_CONNECTIONS = 16_384
OTHER_FILES = 256  # of models, the database and the processes that decode
GRACE_SECONDS = 2  # time for the last responses after draining


def run(settings: ServerSettings, *, announce: Announce) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit code.

    Args:
        settings: of the server.
        announce: called with the address of the server when it accepts requests.

    Raises:
        ConfigurationError: the data folder is not writable, the port is in use, or a device is missing.
        SonantError: a model cannot be found or loaded.
    """
    logs.set_up(settings.log_format)
    warn_of_settings(settings)
    usable_devices(list(settings.devices) or None)
    make_data_folder(settings.data)
    with bind(settings.host, settings.port) as listener:
        server = Server(settings, create_app(settings), announce)
        with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(server.serve_until_stopped(listener))
    return 0


class Server(uvicorn.Server):
    """A server that drains before it stops: after the first signal, new requests are refused and running ones finish.

    /ready returns 503 at once while the port stays open, for load balancers. A second signal ends the process.
    """

    def __init__(self, settings: ServerSettings, app: FastAPI, announce: Announce) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                interface="asgi3",
                http=http_protocol(TrustedProxies(settings.trusted_proxies)),
                ws="none",
                lifespan="off",  # started here, so that errors raise instead of being logged
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # see `ClientAddresses`
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._settings, self._app, self._announce = settings, app, announce
        self._services: Services = app.state.services
        self._greeting = ""
        self._drain_until: float | None = None
        self._has_loaded = False
        self._failure: CheckpointError | None = None

    async def serve_until_stopped(self, listener: socket.socket) -> None:
        """Start the application, serve on a bound socket, and stop everything."""
        with self.capture_signals():
            async with self._app.router.lifespan_context(self._app):
                key = await self._services.accounts.first_admin_key()
                if key is not None:
                    write_secret(self._settings.data / "admin_key", key)
                host, port = listener.getsockname()[:2]
                self._greeting = greeting(self._settings, host, port, key)
                if self._drain_until is None:
                    await self.serve([listener])
        if self._failure is not None:
            raise self._failure

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce(self._greeting)

    async def on_tick(self, counter: int) -> bool:
        if not self._has_loaded:
            self._has_loaded = self._all_loaded()
        if self._drain_until is not None:
            running = self._services.workload.num_running
            if running and monotonic() >= self._drain_until:
                logger.warning("stopping with requests unfinished", extra={"requests": running})
            self.should_exit = not running or monotonic() >= self._drain_until
        if counter % TICKS_PER_SECOND == 0 and self._services.workload.has_freed_much():
            asyncio.get_running_loop().run_in_executor(None, trim_heap)
        return await super().on_tick(counter)

    def _all_loaded(self) -> bool:
        """Return whether loading has ended; stop the server if all models failed."""
        slots = self._services.models.hosted()
        if any(slot.state == "loading" for slot in slots):
            return False
        if slots and all(slot.state == "error" for slot in slots):
            reasons = " ".join(f"{slot.id}: {slot.error}" for slot in slots)
            self._failure = CheckpointError(f"None of the models could be loaded. {reasons}")
            self.should_exit = True
        return True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self._drain_until is not None:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        self._services.draining = True
        self._drain_until = monotonic() + self._settings.drain_seconds


def http_protocol(proxies: TrustedProxies) -> "type[asyncio.Protocol] | Literal['h11']":
    """Return the HTTP protocol: httptools with limits, or h11 where that is not installed."""
    if find_spec("httptools") is None:
        return "h11"  # limits the length of a request head; neither the time nor the number of connections
    from sonant.server.operations.connections import Connection, Peers

    most = max(1, min(MOST_CONNECTIONS, open_files(MOST_CONNECTIONS + OTHER_FILES) - OTHER_FILES))
    return type("Connection", (Connection,), {"peers": Peers(most, proxies)})


def open_files(wanted: int) -> float:
    """Raise the limit on open files to as many as wanted, as far as this user may; return it."""
    try:
        import resource
    except ImportError:  # on Windows
        return inf
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return inf
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def make_data_folder(folder: Path) -> None:
    """Make the data folder, with access for its owner only if new. Raises ConfigurationError if it is not writable."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"The data folder {folder} cannot be written: {error.strerror}. Name another with --data, or make this one "
            "writable for the user that the server runs as."
        ) from error


def bind(host: str, port: int) -> socket.socket:
    """Bind a socket to the address before models are loaded; it does not listen yet."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY where the protocol is named; without it a response waits 40 ms for the client's ACK
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":  # on other systems it would allow two servers on one port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, UnicodeError) as error:
        listener.close()
        raise cannot_listen(host, port, error) from error
    return listener


def cannot_listen(host: str, port: int, error: Exception) -> ConfigurationError:
    match getattr(error, "errno", None):
        case errno.EADDRINUSE:
            cause = "another program has it. Stop that one, or name another port with --port (0: any that is free)"
        case errno.EACCES:
            cause = "ports below 1024 belong to the system. Name a higher one with --port, with a web server in front"
        case _:
            cause = f"{getattr(error, 'strerror', None) or error}. Is --host an address of this machine?"
    return ConfigurationError(f"Port {port} of {host} cannot be listened on: {cause}.")


def write_secret(path: Path, text: str) -> None:
    """Write a file that is readable by its owner only from the beginning, replacing an existing one."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text + "\n")


def greeting(settings: ServerSettings, host: str, port: int, key: str | None) -> str:
    """Return the start-up message."""
    host = EVERY_ADDRESS.get(host, host)
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    lines = [
        f"sonant {__version__} serves {', '.join(settings.models)}",
        "",
        f"  API         {address}/v1",
        f"  catalog     {address}/",
        f"  admin key   {_told(key, settings.data / 'admin_key')}",
    ]
    if settings.anonymous:
        lines.append("  anonymous   requests without a key are served, uncharged, to anybody who reaches this address")
    return "\n".join([*lines, "", "Stop with Ctrl-C: what runs is finished first."])


def _told(key: str | None, kept: Path) -> str:
    if key is not None:
        return f"{key} (also in {kept})"
    return f"in {kept}" if kept.exists() else "was told at the first start; another: sonant keys create --admin"

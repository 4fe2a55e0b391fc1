"""A whole server in a thread of the test process, on a free port of this machine."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

import openai
from fastapi import FastAPI

from sonant.server.app import create_app
from sonant.server.run import Server, bind
from sonant.server.services import Services
from sonant.server.settings import ServerSettings

T = TypeVar("T")
SECONDS = 60.0


@dataclass(frozen=True)
class RunningServer:
    """A server that takes requests.

    Attributes:
        base_url: such as http://127.0.0.1:40123, without a slash at the end.
        admin_key: of the first admin.
        user_key: of an ordinary user.
        user_id: of that user.
        app: the application itself.
        loop: that it runs on.
    """

    base_url: str
    admin_key: str
    user_key: str
    user_id: int
    app: FastAPI
    loop: asyncio.AbstractEventLoop
    _clients: list[openai.OpenAI] = field(default_factory=list, repr=False)

    def client(self, key: str | None = None) -> openai.OpenAI:
        """A client that tries once, with the user's key or another; closed when the server stops."""
        client = openai.OpenAI(base_url=f"{self.base_url}/v1", api_key=key or self.user_key, max_retries=0)
        self._clients.append(client)
        return client

    @property
    def services(self) -> Services:
        services: Services = self.app.state.services
        return services

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine on the server's own loop, such as `server.services.accounts.credit.of(1)`."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(SECONDS)

    def forget_attempts(self) -> None:
        """Let tests, which all come from one address, sign up and in as often as they like."""
        self.services.accounts._attempts._windows.clear()

    def new_key(self, email: str, *, credit: Decimal = Decimal(100), **how: Any) -> str:
        """A key of a new user; `how` goes to `accounts.keys.create`."""
        return self.run(_new_key(self.services, email, credit, **how))[0]


@contextmanager
def running(settings: ServerSettings) -> Iterator[RunningServer]:
    """Start a server with these settings (their host and port aside), wait until its models are ready, stop it."""
    app = create_app(settings)
    is_up = threading.Event()
    failure: list[BaseException] = []
    loop = asyncio.new_event_loop()
    with bind("127.0.0.1", 0) as listener:
        server = Server(settings, app, lambda _: is_up.set())

        def serve() -> None:
            try:
                with asyncio.Runner(loop_factory=lambda: loop) as runner:
                    runner.run(server.serve_until_stopped(listener))
            except BaseException as error:  # noqa: BLE001 - told to the test
                failure.append(error)
            finally:
                is_up.set()

        thread = threading.Thread(target=serve, name="server under test")
        thread.start()
        try:
            assert is_up.wait(SECONDS)
            if failure:
                raise failure[0]
            base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            services: Services = app.state.services
            asyncio.run_coroutine_threadsafe(_ready(services), loop).result(SECONDS)
            user = _new_key(services, "user@example.org", Decimal(1000))
            user_key, user_id = asyncio.run_coroutine_threadsafe(user, loop).result(SECONDS)
            admin_key = (settings.data / "admin_key").read_text().strip()
            up = RunningServer(base_url, admin_key, user_key, user_id, app, loop)
            yield up
            for client in up._clients:
                client.close()
        finally:
            server.should_exit = True
            thread.join(SECONDS)
    if failure:
        raise failure[0]
    assert not thread.is_alive(), "the server did not stop"


async def _ready(services: Services) -> None:
    async with asyncio.timeout(SECONDS):
        while not services.models.is_ready:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


async def _new_key(services: Services, email: str, credit: Decimal, **how: Any) -> tuple[str, int]:
    user = await services.accounts.users.create(email, credit=credit, by="tests")
    key = await services.accounts.keys.create(user.id, "tests", by="tests", **how)
    return key.secret, user.id

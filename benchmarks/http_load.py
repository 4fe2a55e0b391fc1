"""Lightweight clients: prebuilt requests over raw connections, in a process of their own.

There are two kinds of load. In a closed loop each client sends its next request when it has its answer, which measures
the capacity of the server. In an open loop requests come at random moments, whether the server keeps up or not, as
those of many independent users do.
"""

import asyncio
import random
import re
import resource
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from time import perf_counter

LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
CLOSES = re.compile(rb"connection: close", re.IGNORECASE)


@dataclass(frozen=True)
class Target:
    """The target of requests: the server, the API keys and the bodies.

    Attributes:
        port: of 127.0.0.1.
        keys: API keys, which clients take in turn.
        bodies: JSON, each sent as often as the others.
        name: the beginning of the ids of the requests.
        path: of all requests.
    """

    port: int
    keys: Sequence[str]
    bodies: Sequence[bytes]
    name: str = "load"
    path: str = "/v1/embeddings"


@dataclass(frozen=True)
class Outcome:
    """The outcome of a request.

    Attributes:
        request_id: the id that it was sent with.
        clip: the number of its body.
        status: of the answer; 0: there was none.
        seconds: from when it was due to the end of the answer.
    """

    request_id: str
    clip: int
    status: int
    seconds: float


class Client:
    """A client with one connection, opened again when the server closes it."""

    def __init__(self, target: Target, key: str) -> None:
        self._target = target
        self._key = key
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, number: int, due: float | None = None) -> Outcome:
        """Send one request and read its answer to the end."""
        clip = number % len(self._target.bodies)
        start = perf_counter() if due is None else due
        request_id = f"{self._target.name}-{number}"
        try:
            status = await self._exchange(self._target.bodies[clip], request_id)
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            status = 0
        return Outcome(request_id, clip, status, perf_counter() - start)

    async def _exchange(self, body: bytes, request_id: str) -> int:
        if self._writer is None or self._reader is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._target.port)
        head = (
            f"POST {self._target.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self._key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nX-Request-Id: {request_id}\r\n\r\n"
        )
        self._writer.writelines([head.encode(), body])
        told = await self._reader.readuntil(b"\r\n\r\n")
        length = LENGTH.search(told)
        await self._reader.readexactly(int(length[1]) if length else 0)
        if CLOSES.search(told):
            self.close()
        return int(told[9:12])

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


def closed_loop(target: Target, *, clients: int, requests: int, until_failure: bool = False) -> list[Outcome]:
    """Run so many clients, each with one request at a time, until all requests are answered.

    `until_failure`: a client stops once a request of its gets no answer at all.
    """
    numbers = iter(range(requests))
    outcomes: list[Outcome] = []

    async def work(key: str, numbers: Iterator[int]) -> None:
        client = Client(target, key)
        for number in numbers:
            outcomes.append(await client.ask(number))
            if until_failure and outcomes[-1].status == 0:
                break
        client.close()

    async def all_clients() -> None:
        await asyncio.gather(*(work(target.keys[i % len(target.keys)], numbers) for i in range(clients)))

    asyncio.run(all_clients())
    return outcomes


def open_loop(target: Target, *, rate: float, seconds: float, seed: int = 0) -> list[Outcome]:
    """Send requests at random moments, `rate` per second on average; each takes a free connection or opens one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else max(soft, 65536), hard))
    generator = random.Random(seed)
    free: list[Client] = []
    keys = (target.keys[i % len(target.keys)] for i in count())
    outcomes: list[Outcome] = []

    async def one(number: int, due: float) -> None:
        client = free.pop() if free else Client(target, next(keys))
        outcomes.append(await client.ask(number, due))
        free.append(client)

    async def arrivals() -> None:
        start = due = perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in count():
                due += generator.expovariate(rate)
                if due > start + seconds:
                    break
                await asyncio.sleep(max(0.0, due - perf_counter()))
                group.create_task(one(number, due))
        for client in free:
            client.close()

    asyncio.run(arrivals())
    return outcomes

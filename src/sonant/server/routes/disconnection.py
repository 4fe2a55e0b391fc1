"""Client disconnections: the work for a disconnected client is cancelled and cleaned up."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing, suppress
from typing import Any, Self, TypeVar

import orjson
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from sonant.server.errors import ApiError
from sonant.server.routes.bodies import ClientGone

T = TypeVar("T")


async def unless_disconnected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Await work, and cancel it if the client disconnects. Raises ClientGone."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        await stopped(working, leaving)


async def stopped(*tasks: asyncio.Task[Any]) -> None:
    """Cancel running tasks on exit, and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def error_event(error: ApiError) -> bytes:
    """Make the event for an error in the middle of a stream, in the format of OpenAI."""
    return b"data: " + orjson.dumps(error.body) + b"\n\n"


class EventStream(StreamingResponse):
    """A response of server-sent events; its generator is closed when the client disconnects."""

    def __init__(self, first: bytes, rest: AsyncGenerator[bytes, None]) -> None:
        super().__init__(_chained(first, rest), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._rest = rest

    @classmethod
    async def begun(cls, receive: Receive, events: AsyncGenerator[bytes, None]) -> Self:
        """Wait for the first event, so that earlier errors are answered with their own status."""

        async def first() -> bytes:
            return await anext(events)

        return cls(await unless_disconnected(receive, first()), events)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        async with aclosing(self._rest):
            with suppress(ClientGone):
                await unless_disconnected(receive, self.stream_response(send))


async def _chained(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    yield first
    async for event in rest:
        yield event

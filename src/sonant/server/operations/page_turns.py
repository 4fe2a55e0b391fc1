"""Turns of visitors at having pages made, which takes milliseconds in which nothing else runs."""

from contextlib import AsyncExitStack

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sonant.server.networks import network_of
from sonant.server.operations.body_limits import API, POLLED
from sonant.server.sharing.turns import FairTurns

PLACES = 2  # pages that are made at a time; some wait for the database or for the hash of a password
REST = 3.0  # times the making of a page, in which its place makes no other, so that the API gets most of the time


class PageTurns:
    """Middleware that has a few pages made at a time, in turns that go round by network.

    Without it every request of an impatient visitor is worked on at once, and others wait for all of them. A turn ends
    with the beginning of the response. The bodies of forms must have been received before: see `FieldLimits`.

    Args:
        turns: shared with error pages that are made elsewhere.
    """

    def __init__(self, app: ASGIApp, *, turns: FairTurns) -> None:
        self._app, self._turns = app, turns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(API) or scope["path"] in POLLED:
            await self._app(scope, receive, send)
            return
        async with AsyncExitStack() as turn:
            await turn.enter_async_context(self._turns.turn(network_of((scope.get("client") or ("",))[0])))

            async def send_after(message: Message) -> None:
                await turn.aclose()
                await send(message)

            await self._app(scope, receive, send_after)

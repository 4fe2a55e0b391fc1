"""Calls to the API from pages of other sites (CORS), where the settings allow it."""

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from sonant.server.operations.body_limits import API

HEADERS = ("x-request-id", "retry-after", "x-audio-warning", "x-parameter-warning")  # of answers, for scripts to read
DAY = 24 * 3600


class CrossOrigin(CORSMiddleware):
    """Middleware that lets pages of these origins call the API with a key; never with a cookie, and no other path."""

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=("*",),
            expose_headers=HEADERS,
            max_age=DAY,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(API):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)

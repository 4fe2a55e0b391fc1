"""The addresses of clients behind web servers, and warnings where they are probably wrong."""

import logging

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from sonant.server.networks import TrustedProxies, is_loopback, plain
from sonant.server.settings import ServerSettings

FORWARDED = (b"x-forwarded-for", b"forwarded", b"x-real-ip")  # headers in which web servers name the client
MOST_WARNINGS = 8

logger = logging.getLogger(__name__)


class ClientAddresses:
    """Middleware that takes address and scheme of the client from the headers of trusted proxies.

    The first request of an address that forwards for others and is not trusted is logged.
    """

    def __init__(self, app: ASGIApp, *, settings: ServerSettings) -> None:
        self._app, self._trusted = app, TrustedProxies(settings.trusted_proxies)
        self._behind_proxy = ProxyHeadersMiddleware(app, list(settings.trusted_proxies))  # type: ignore[arg-type]
        self._warned: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        host, *port = scope.get("client") or ("",)
        host = plain(host)
        scope = {**scope, "client": (host, *port) if host else None}
        if host in self._trusted:
            await self._behind_proxy(scope, receive, send)  # type: ignore[arg-type]
            return
        name = next((name for name, _ in scope["headers"] if name in FORWARDED), None)
        if name is not None and host not in self._warned and len(self._warned) < MOST_WARNINGS:
            self._warned.add(host)
            logger.warning(
                "%s sent the header %s and is not in trusted_proxies, so it is not believed. If it is your web server, "
                "name it there: until then all visitors count as one address. If it is not, nothing is wrong.",
                host,
                name.decode(),
            )
        await self._app(scope, receive, send)


def warn_of_settings(settings: ServerSettings) -> None:
    """Log a warning of settings under which the addresses of clients are probably wrong."""
    trusted = TrustedProxies(settings.trusted_proxies)
    if trusted.trusts_all:
        logger.warning(
            "trusted_proxies is '*': any client may claim any address, and so evade what is limited by address. Name "
            "your web server instead."
        )
    elif trusted.is_this_machine_only and settings.accounts.sign_up and not is_loopback(settings.host):
        logger.warning(
            "the server listens on %s and believes the X-Forwarded-For of web servers on this machine alone. If one on "
            "another machine or in another container is in front, name it in trusted_proxies, or all visitors count as "
            "one address; if there is none, set trusted_proxies to [].",
            settings.host,
        )

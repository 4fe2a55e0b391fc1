"""Early refusal of requests: too large, too slow, too many at once, or while the server is stopping.

The body of a refused request is not stored: it is left on the connection, or read and discarded.
"""

import asyncio
from time import monotonic

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sonant.server import errors
from sonant.server.errors import ApiError
from sonant.server.networks import network_of
from sonant.server.services import Services
from sonant.server.sharing.workload import Share

API = "/v1/"  # where bodies hold audio; refused while draining
POLLED = ("/health", "/ready", "/metrics")  # by monitors, every few seconds
FORM_BYTES = 64 << 10  # size limit of the bodies of pages
LINGER_BYTES = 8 << 20  # discarded after an early response, so that the client sees it and no broken connection
LINGER_SECONDS = 2.0


class BodyLimits:
    """Middleware for the limits on bodies, and the shares of senders in the workload.

    `request.state.share` is the `Share` of a request.
    """

    def __init__(self, app: ASGIApp, *, services: Services) -> None:
        self._app, self._services, self._limits = app, services, services.settings.limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        body = ReceivedBody(scope, receive, send, services=self._services)
        state["share"] = body.share
        if body.is_api and self._services.draining:
            message = "The server is stopping. Ask again in a moment: another one may have taken its place."
            body.refusal = ApiError(503, "server_is_draining", message, retry_after=5)
        else:
            body.refusal = body.too_large(body.expected or 0) or body.share.enter()
        try:
            if body.refusal is None:
                await self._run(scope, body)
            if body.refusal is not None:
                await body.refuse(close=self._services.draining)
        finally:
            body.share.leave()
            state["bytes_received"] = body.num_bytes

    async def _run(self, scope: Scope, body: "ReceivedBody") -> None:
        try:
            await self._app(scope, body.receive, body.send)
        except ClientDisconnect:  # it has disconnected; or it gets the refusal
            pass
        except Exception:
            if body.refusal is None:
                raise


class ReceivedBody:
    """Wrapper of `receive` and `send` of one request that enforces the limits on its body.

    Attributes:
        is_api: whether it is a request to the API.
        expected: Content-Length; None if unknown.
        num_bytes: received so far.
        share: its share of the workload.
        refusal: the error for which reception was stopped. The application sees a disconnected client, and its response
            is replaced by this error.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, services: Services) -> None:
        self._scope, self._receive, self._send, self._limits = scope, receive, send, services.settings.limits
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        is_chunked = "transfer-encoding" in headers
        self.expected = int(length) if length.isascii() and length.isdigit() else None if is_chunked else 0
        self.is_api = scope["path"].startswith(API)
        self._limit = self._limits.body_bytes if self.is_api else min(self._limits.body_bytes, FORM_BYTES)
        work = services.workload
        slots = work.forms if self.expected != 0 else work.pages
        if self.is_api or scope["path"] in POLLED:
            slots = work.api if self.is_api else work.polled
        host = (scope.get("client") or ("",))[0]
        self.share = Share(work, slots, network_of(host), self.expected or 0)
        self.num_bytes = 0
        self.refusal: ApiError | None = None
        self._waited_seconds = 0.0
        self._is_complete = self.expected == 0
        self._has_started = self._must_close = False

    async def receive(self) -> Message:
        """Receive the next chunk; one that exceeds a limit is not passed on."""
        if self._is_complete:
            return await self._receive()
        if self.refusal is None:
            start = monotonic()
            try:
                seconds = self._limits.seconds_to_receive(self.num_bytes)
                async with asyncio.timeout(seconds - self._waited_seconds):
                    message = await self._receive()
            except TimeoutError:
                self.refusal = too_slow(self.num_bytes, self.expected)
            else:
                self._waited_seconds += monotonic() - start  # the time of the application does not count
                self._count(message)
        return {"type": "http.disconnect"} if self.refusal is not None else message

    def _count(self, message: Message) -> None:
        if message["type"] != "http.request":
            return
        num_bytes = len(message.get("body", b""))
        self.num_bytes += num_bytes
        self._is_complete = not message.get("more_body", False)
        self.refusal = self.too_large(self.num_bytes) or self.share.receive(num_bytes)

    def too_large(self, num_bytes: int) -> ApiError | None:
        """Return the error for a body of so many bytes if it exceeds the limit."""
        if num_bytes <= self._limit:
            return None
        length = f"has {num_bytes} bytes" if self.expected is not None else "is still going on"
        message = (
            f"The body of the request {length}; at most {self._limit} are taken. Send fewer recordings at a time, or "
            "compressed ones (FLAC, Ogg)."
        )
        return ApiError(413, "request_too_large", message)

    async def send(self, message: Message) -> None:
        """Send a message; the last one ends when the client has read nearly all.

        After a response before the end of the body, the rest is read and discarded for a while.
        """
        if self.refusal is not None and not self._has_started:
            return
        if message["type"] == "http.response.start":
            self._has_started = True
            if self._must_close or not self._is_complete_soon:
                MutableHeaders(scope=message)["connection"] = "close"
            await self._send(message)
        elif message.get("more_body", False):
            await self._send(message)
        else:
            await self._send({**message, "more_body": True})
            if not self._is_complete:
                await self._linger()
            # Waits while more than a little is unsent: what the client has not read keeps the slot and the bytes.
            await self._send({**message, "body": b"", "more_body": False})

    async def refuse(self, *, close: bool) -> None:
        """Respond with the refusal, unless a response has begun."""
        assert self.refusal is not None
        if self._has_started:
            return
        answer, self.refusal, self._must_close = errors.answer(self.refusal), None, close
        await answer(self._scope, self._receive, self.send)

    @property
    def _is_complete_soon(self) -> bool:
        """Return whether the rest of the body is short enough to discard it and keep the connection."""
        return self._is_complete or (self.expected is not None and self.expected - self.num_bytes <= LINGER_BYTES)

    async def _linger(self) -> None:
        """Discard what the client still sends, for a while: closing at once could lose the response."""
        left = LINGER_BYTES
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while left > 0:
                    message = await self._receive()
                    if message["type"] != "http.request" or not message.get("more_body", False):
                        return
                    left -= len(message.get("body", b""))
        except (TimeoutError, ApiError):  # the rest of it may be wrong, too
            return


def too_slow(num_bytes: int, expected: int | None) -> ApiError:
    of = "" if expected is None else f" of {expected}"
    message = f"The body of the request came too slowly: {num_bytes} bytes{of} before the time was up. Check the line."
    return ApiError(400, "body_too_slow", message)

"""Request ids, access log and metrics for every request."""

import logging
import re
from contextlib import suppress
from time import perf_counter
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sonant.server import errors
from sonant.server.operations.body_limits import POLLED
from sonant.server.services import Services

WELL_FORMED = re.compile(r"[A-Za-z0-9._:-]{1,128}")  # characters that are safe in logs and headers
OTHER = "other"  # endpoint label of unmatched requests: the number of labels must not grow with requests

logger = logging.getLogger(__name__)


class RequestIds:
    """Middleware: request ids, access log and metrics.

    Sets `request.state.request_id` and the header `x-request-id`. An unhandled exception becomes a 500 response without
    internals, in a browser as a `page`; its traceback is logged with the request id.
    """

    def __init__(self, app: ASGIApp, *, services: Services, page: errors.Page = errors.no_page) -> None:
        self._app, self._metrics, self._page = app, services.metrics, page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["request_id"] = request_id = _given(scope) or f"req_{uuid4().hex}"
        answered = Answered(send, request_id)
        start = perf_counter()
        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, answered)
        except Exception:
            logger.exception("a request failed", extra={"request_id": request_id})
            if answered.status is not None:  # the response has begun: close the connection
                raise
            response = self._page(Request(scope), errors.INTERNAL) or errors.answer(errors.INTERNAL)
            state["error_code"] = errors.INTERNAL.code
            await response(scope, receive, answered)
        finally:
            self._metrics.in_flight.dec()
            self._note(scope, answered, perf_counter() - start)

    def _note(self, scope: Scope, answered: "Answered", seconds: float) -> None:
        endpoint = path_template(scope)
        status = answered.status or 499  # the client disconnected before the response
        state = scope["state"]
        self._metrics.requests.labels(endpoint, str(status)).inc()
        self._metrics.request_seconds.labels(endpoint).observe(seconds)
        if (code := state.get("error_code")) is not None:
            self._metrics.errors.labels(code).inc()
        caller = state.get("caller")
        facts = {
            "request_id": state["request_id"],
            "method": scope["method"] if scope["method"].isalpha() else "?",
            "path": endpoint,
            "status": status,
            "seconds": round(seconds, 4),
            "bytes_in": state.get("bytes_received"),
            "bytes_out": answered.num_bytes,
            "code": code,
            "key_id": getattr(caller, "key_id", None),
            "user_id": getattr(caller, "user_id", None),
            "model": state.get("model"),
            "audio_seconds": state.get("audio_seconds"),
        }
        logger.log(_level(endpoint, code), "request", extra={name: it for name, it in facts.items() if it is not None})


class Answered:
    """Wrapper of `send` that adds the request id and records status and size."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self._request_id = send, request_id
        self.status: int | None = None
        self.num_bytes = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)["x-request-id"] = self._request_id
        elif message["type"] == "http.response.body":
            self.num_bytes += len(message.get("body", b""))
        await self._send(message)


def path_template(scope: Scope) -> str:
    """Return the path template of the route (`/v1/models/{id}`)."""
    template: str | None = getattr(scope.get("route"), "path_format", None)
    if template is None:
        return "/static" if scope["path"].startswith("/static/") else OTHER
    with suppress(LookupError):
        # The route of an included router lacks the prefix of the router.
        template = scope["path"].removesuffix(template.format(**scope["path_params"])) + template
    return template


def _level(endpoint: str, code: str | None) -> int:
    if code == errors.INTERNAL.code:
        return logging.WARNING
    return logging.DEBUG if endpoint in POLLED else logging.INFO


def _given(scope: Scope) -> str | None:
    """Return the request id sent by the client or a proxy, if it is valid."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if WELL_FORMED.fullmatch(given) else None

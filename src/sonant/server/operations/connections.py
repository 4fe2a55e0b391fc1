"""The HTTP protocol of uvicorn with limits on the request head: time, size, and a response to a malformed one."""

import asyncio
from uuid import uuid4

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sonant.server.errors import ApiError

HEAD_SECONDS = 20.0  # time from the start of a connection, or of its next request, to the end of the headers
HEAD_BYTES = 64 << 10  # plus one read from the socket


class Connection(HttpToolsProtocol):
    """A connection with limits on the time and the size of the request head, which uvicorn does not limit.

    Otherwise idle connections, or endless headers, would occupy memory.
    """

    head_seconds = HEAD_SECONDS
    _timer: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse("headers_too_large", f"The headers have more than {HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - it says nothing that could be of use
        self._refuse(
            "invalid_http", "What was received is not a request in HTTP/1.1. Is the address http:// or https://?"
        )

    def _await_head(self) -> None:
        self._stop_waiting()
        self._head_bytes = 0
        self._timer = self.loop.call_later(self.head_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, code: str, message: str) -> None:
        if self.transport.is_closing():
            return
        error = ApiError(400, code, message)
        body = orjson.dumps(error.body)
        head = (
            f"HTTP/1.1 {error.status} Bad Request\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
            f"x-request-id: req_{uuid4().hex}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

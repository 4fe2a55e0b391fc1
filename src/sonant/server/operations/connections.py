"""The HTTP protocol of uvicorn with limits on connections and on request heads, and a response to malformed ones."""

import asyncio
from math import inf
from uuid import uuid4

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sonant.server.errors import ApiError
from sonant.server.networks import TrustedProxies, network_of
from sonant.server.sharing.budget import Budget

HEAD_SECONDS = 20.0  # time from the start of a connection, or of its next request, to the end of the headers
STALL_SECONDS = 60.0  # time in which a client must take some of an answer
HEAD_BYTES = 64 << 10  # plus one read from the socket


class Peers:
    """The other ends of all connections: clients, which share them by network, and trusted proxies.

    Args:
        most: connections that may be open at a time.
        proxies: whose connections are those of many clients, and are not counted.
    """

    def __init__(self, most: float, proxies: TrustedProxies) -> None:
        self._connections, self._proxies = Budget(most), proxies

    def enter(self, host: str) -> bool:
        """Count a new connection; False if the host has too many."""
        return host in self._proxies or self._connections.take(1, [network_of(host)])

    def leave(self, host: str) -> None:
        """Count a connection no more that has entered."""
        if host not in self._proxies:
            self._connections.give_back(1, [network_of(host)])


class Connection(HttpToolsProtocol):
    """A connection with limits on its number, and on the time and the size of the request head.

    uvicorn has none: idle connections, or endless headers, would occupy memory and file descriptors.
    """

    peers = Peers(inf, TrustedProxies(()))
    head_seconds, stall_seconds = HEAD_SECONDS, STALL_SECONDS
    _is_counted = False
    _timer: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None  # runs while the client takes nothing
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._is_counted = self.peers.enter(self._host)
        if self._is_counted:
            self._await_head()
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_stalling()
        if self._is_counted:
            self.peers.leave(self._host)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall = self.loop.call_later(self.stall_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_stalling()
        super().resume_writing()

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

    @property
    def _host(self) -> str:
        return self.client[0] if self.client else ""

    def _await_head(self) -> None:
        self._stop_waiting()
        self._head_bytes = 0
        self._timer = self.loop.call_later(self.head_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_stalling(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

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

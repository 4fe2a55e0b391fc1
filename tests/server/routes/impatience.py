"""Clients that go away, and models that take their time."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import orjson

from tests.server.running import RunningServer


@contextmanager
def connected(server: RunningServer, path: str, body: dict[str, Any]) -> Iterator[socket.socket]:
    """A connection over which a request was sent, and which is closed at the end, answered or not."""
    address, content = urlsplit(server.base_url), orjson.dumps(body)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        f"Authorization: Bearer {server.user_key}\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), timeout=20.0) as connection:
        connection.sendall(head.encode() + content)
        yield connection

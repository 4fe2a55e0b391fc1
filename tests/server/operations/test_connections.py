"""Whoever opens a connection and does not ask anything in time, or asks nonsense, does not keep it."""

import json
import socket
from contextlib import ExitStack, suppress
from time import monotonic, sleep

import pytest
from starlette.responses import PlainTextResponse, Response

from sonant.server.networks import TrustedProxies
from sonant.server.operations.connections import HEAD_BYTES, Connection, Peers
from tests.server.operations.standing import answer, connect, head, standing

app = PlainTextResponse("fine")


class Impatient(Connection):
    head_seconds = 0.3


@pytest.mark.parametrize("sent", [b"", b"POST / HTTP/1.1\r\nHost: he"])
def test_a_head_that_does_not_come_is_not_waited_for(sent: bytes) -> None:
    with standing(app, Impatient) as port, connect(port) as client:
        start = monotonic()
        client.sendall(sent)
        assert client.recv(1) == b""
        assert 0.2 < monotonic() - start < 2


def test_nor_is_that_of_a_later_request() -> None:
    with standing(app, Impatient) as port, connect(port) as client:
        client.sendall(head(length=0))
        assert answer(client)[0] == 200
        sleep(0.5)  # idle between requests is another matter
        client.sendall(head(length=0))
        assert answer(client)[0] == 200
        client.sendall(b"GET / HT")
        assert client.recv(1) == b""


def test_a_head_without_end_is_refused() -> None:
    with standing(app, Connection) as port, connect(port) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\nx-long: " + b"x" * (HEAD_BYTES + 1))
        status, _, body = answer(client)
        assert (status, json.loads(body)["error"]["code"]) == (400, "headers_too_large")


def test_what_is_not_http_is_answered_in_our_shape() -> None:
    with standing(app, Connection) as port, connect(port) as client:
        client.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        status, headers, body = answer(client)
        assert (status, json.loads(body)["error"]["code"]) == (400, "invalid_http")
        assert headers["x-request-id"]
        assert client.recv(1) == b""


def is_closed(client: socket.socket) -> bool:
    with suppress(OSError):
        client.sendall(head(length=0))
        return client.recv(1) == b""
    return True


def test_one_client_cannot_take_all_connections() -> None:
    class Few(Connection):
        peers = Peers(7, TrustedProxies([]))

    with standing(app, Few) as port, ExitStack() as stack:
        clients = [stack.enter_context(connect(port)) for _ in range(7)]
        assert [is_closed(client) for client in clients] == 5 * [False] + 2 * [True]
        clients[0].close()
        sleep(0.1)
        with connect(port) as another:
            assert not is_closed(another), "the place came back"


def test_a_web_server_in_front_may_have_many_connections() -> None:
    class Few(Connection):
        peers = Peers(7, TrustedProxies(["127.0.0.1"]))

    with standing(app, Few) as port, ExitStack() as stack:
        clients = [stack.enter_context(connect(port)) for _ in range(9)]
        assert not any(map(is_closed, clients))


def test_a_client_that_takes_nothing_of_its_answer_is_dropped() -> None:
    class Hasty(Connection):
        stall_seconds = 0.2

    size = 64 << 20
    with standing(Response(bytes(size)), Hasty) as port, connect(port) as client:
        client.sendall(head(length=0))
        sleep(1.0)
        received = 0
        with suppress(ConnectionResetError):
            while piece := client.recv(1 << 20):
                received += len(piece)
        assert 0 < received < size

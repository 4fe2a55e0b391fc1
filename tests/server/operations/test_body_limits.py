"""Too large, too slow, too many, too late: refused early, in words, without keeping the body."""

import asyncio
import json
import threading
from contextlib import ExitStack
from time import monotonic, sleep
from typing import Any

import pytest
from prometheus_client import generate_latest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from sonant.server.metrics import Metrics
from sonant.server.operations.body_limits import FORM_BYTES, BodyLimits
from sonant.server.services import Services
from sonant.server.settings import Limits, ServerSettings
from tests.server.operations.standing import answer, connect, head, standing


def services_with(**limits: Any) -> Services:
    nothing: Any = None
    settings = ServerSettings(limits=Limits(**limits))
    return Services(settings, nothing, nothing, nothing, nothing, Metrics())


class Reader:
    """Answers the length of the body, once `may_answer`; counts the requests that got here."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.calls = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        body = await Request(scope, receive).body()
        await asyncio.to_thread(self.may_answer.wait)
        await PlainTextResponse(str(len(body)))(scope, receive, send)


def wait_until_idle(services: Services) -> None:
    """The books are closed a moment after the client has its answer."""
    deadline = monotonic() + 5
    while services.metrics.in_flight_bytes._value.get() or services.running_requests:
        assert monotonic() < deadline, "a body or a request is still accounted for"
        sleep(0.01)


def code_of(body: bytes) -> str:
    return json.loads(body)["error"]["code"]


def test_a_body_within_the_limits_arrives_whole_and_the_connection_is_kept() -> None:
    services = services_with(body_bytes=100_000)
    with standing(BodyLimits(Reader(), services=services)) as port, connect(port) as client:
        for length in (0, 1, 70_000, 100_000):
            client.sendall(head(length=length) + bytes(length))
            assert answer(client)[::2] == (200, str(length).encode())
        client.sendall(head() + b"5\r\nhello\r\n0\r\n\r\n")
        assert answer(client)[2] == b"5"
    wait_until_idle(services)
    assert b"sonant_in_flight_bytes 0.0" in generate_latest(services.metrics.registry)


def test_what_is_announced_too_large_is_refused_before_it_comes() -> None:
    reader = Reader()
    with standing(BodyLimits(reader, services=services_with(body_bytes=1000))) as port, connect(port) as client:
        client.sendall(head(length=1001))
        status, _, body = answer(client)  # nothing was sent yet
        assert (status, code_of(body)) == (413, "request_too_large")
        assert "1001" in json.loads(body)["error"]["message"]
        client.sendall(bytes(1001) + head(length=3) + b"abc")
        assert answer(client)[2] == b"3", "the connection outlives a small refusal"
    assert reader.calls == 1


def test_what_turns_out_too_large_is_refused_on_the_way_and_the_client_reads_why() -> None:
    with standing(BodyLimits(Reader(), services=services_with(body_bytes=1000))) as port, connect(port) as client:
        chunk = b"1000\r\n" + bytes(4096) + b"\r\n"
        client.sendall(head() + chunk * 500)  # 2 MB: more than the sockets' buffers hold
        status, headers, body = answer(client)
        assert (status, code_of(body), headers["connection"]) == (413, "request_too_large", "close")


def test_what_the_application_answers_to_a_cut_body_is_not_sent() -> None:
    async def tolerant(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        await Response(b"fine", 200)(scope, receive, send)

    with standing(BodyLimits(tolerant, services=services_with(body_bytes=10))) as port, connect(port) as client:
        client.sendall(head() + b"14\r\n" + bytes(20) + b"\r\n0\r\n\r\n")
        assert answer(client)[0] == 413


@pytest.mark.parametrize("sent", [head(length=100) + b"ten bytes.", head() + b"a\r\nten bytes.\r\n"])
def test_a_body_that_trickles_is_cut_off(sent: bytes) -> None:
    with standing(BodyLimits(Reader(), services=services_with(receive_seconds=0.3))) as port, connect(port) as client:
        start = monotonic()
        client.sendall(sent)
        status, _, body = answer(client)
        assert (status, code_of(body)) == (400, "body_too_slow")
        assert "10 bytes" in json.loads(body)["error"]["message"]
        assert 0.3 <= monotonic() - start < 2


def test_the_time_is_for_all_of_the_body() -> None:
    """A byte now and then does not renew it."""
    with standing(BodyLimits(Reader(), services=services_with(receive_seconds=0.4))) as port, connect(port) as client:
        client.sendall(head(length=1000))
        for _ in range(5):
            client.sendall(b".")
            sleep(0.1)
        assert code_of(answer(client)[2]) == "body_too_slow"


def test_more_requests_than_may_run_are_refused_at_once() -> None:
    reader = Reader()
    reader.may_answer.clear()
    services = services_with(concurrent_requests=2)
    with standing(BodyLimits(reader, services=services)) as port, ExitStack() as stack:
        first, second, third = (stack.enter_context(connect(port)) for _ in range(3))
        for client in (first, second):
            client.sendall(head(length=3) + b"abc")
        while services.running_requests < 2:
            sleep(0.01)
        start = monotonic()
        third.sendall(head(length=3) + b"abc")
        status, headers, body = answer(third)
        assert (status, code_of(body), int(headers["retry-after"])) == (429, "server_is_overloaded", 2)
        assert monotonic() - start < 1
        third.sendall(head("/health", length=0))  # pages and operations are not counted
        reader.may_answer.set()
        assert [answer(client)[0] for client in (first, second, third)] == [200, 200, 200]
        third.sendall(head(length=3) + b"abc")
        assert answer(third)[2] == b"3", "the slots came back"


def test_bodies_share_a_bounded_memory() -> None:
    reader = Reader()
    reader.may_answer.clear()
    services = services_with(in_flight_bytes=1000)
    with standing(BodyLimits(reader, services=services)) as port, connect(port) as first, connect(port) as second:
        first.sendall(head(length=600) + bytes(600))
        while reader.calls < 1 or services.metrics.in_flight_bytes._value.get() < 600:
            sleep(0.01)
        second.sendall(head(length=600) + bytes(600))  # announced
        assert answer(second)[0] == 429
        second.sendall(head() + b"190\r\n" + bytes(400) + b"\r\n")  # fits so far
        second.sendall(b"1\r\n.\r\n0\r\n\r\n")
        assert code_of(answer(second)[2]) == "server_is_overloaded"
        reader.may_answer.set()
        assert answer(first)[2] == b"600"
        wait_until_idle(services)


def test_a_stopping_server_refuses_new_work_and_closes() -> None:
    services = services_with()
    services.draining = True
    with standing(BodyLimits(Reader(), services=services)) as port, connect(port) as client:
        client.sendall(head("/ready", length=0))
        assert answer(client)[0] == 200
        client.sendall(head(length=3) + b"abc")
        status, headers, body = answer(client)
        assert (status, code_of(body), headers["connection"]) == (503, "server_is_draining", "close")
        assert int(headers["retry-after"]) > 0
        assert client.recv(1) == b""


def test_forms_of_pages_are_small() -> None:
    with standing(BodyLimits(Reader(), services=services_with())) as port:
        for path, status in (("/sign-in", 413), ("/v1/embeddings", 200), ("/playground/compare", 200)):
            with connect(port) as client:
                client.sendall(head(path, length=FORM_BYTES + 1) + bytes(FORM_BYTES + 1))
                assert answer(client)[0] == status


def test_a_client_that_leaves_gives_its_memory_back() -> None:
    services = services_with()
    with standing(BodyLimits(Reader(), services=services)) as port:
        with connect(port) as client:
            client.sendall(head(length=1000) + bytes(500))
            while services.metrics.in_flight_bytes._value.get() < 500:
                sleep(0.01)
        wait_until_idle(services)

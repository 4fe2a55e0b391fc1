"""Too large, too slow, too many, too late: refused early, in words, without keeping the body."""

import asyncio
import json
import socket
import threading
from contextlib import ExitStack, suppress
from time import monotonic, sleep
from typing import Any

import pytest
from prometheus_client import generate_latest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from sonant.server import settings as server_settings
from sonant.server.metrics import Metrics
from sonant.server.operations.body_limits import FORM_BYTES, BodyLimits
from sonant.server.services import Services
from sonant.server.settings import Limits, ServerSettings
from sonant.server.sharing import workload
from sonant.server.sharing.budget import Budget
from tests.server.operations.standing import answer, connect, head, standing
from tests.server.running import RunningServer
from tests.server.waiting import until


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
    while services.metrics.in_flight_bytes._value.get() or services.workload.num_running:
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


def test_a_sender_below_the_least_rate_is_cut_off_and_a_slow_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A total time alone would let a byte a second keep a slot for all of it."""
    monkeypatch.setattr(server_settings, "GRACE_SECONDS", 0.3)
    services = services_with(receive_bytes_per_second=1000)
    with standing(BodyLimits(Reader(), services=services)) as port, connect(port) as idle, connect(port) as slow:
        start = monotonic()
        idle.sendall(head(length=1000))
        slow.sendall(head(length=1000))
        for _ in range(10):
            slow.sendall(bytes(100))
            sleep(0.08)
            with suppress(OSError):
                idle.sendall(b".")
        assert code_of(answer(idle)[2]) == "body_too_slow"
        assert monotonic() - start < 2
        assert answer(slow)[2] == b"1000"


def hold(stack: ExitStack, port: int, address: str, path: str = "/v1/x") -> socket.socket:
    """A request whose body does not come, from an address that a web server names."""
    client = stack.enter_context(connect(port))
    client.sendall(head(path, length=3, X_Forwarded_For=address))
    return client


def test_one_address_leaves_slots_to_others_and_all_come_back() -> None:
    services = services_with(concurrent_requests=8)
    with standing(BodyLimits(Reader(), services=services)) as port, ExitStack() as stack:
        greedy = [hold(stack, port, f"2001:db8::{i:x}") for i in range(6)]
        until(lambda: services.workload.num_running == 6)
        start = monotonic()
        status, headers, body = answer(hold(stack, port, "2001:db8::ffff"))
        assert (status, code_of(body), int(headers["retry-after"])) == (429, "server_is_overloaded", 2)
        assert monotonic() - start < 1
        others = [hold(stack, port, "192.0.2.1"), hold(stack, port, "2001:db8:0:1::1")]
        for client in (*greedy, *others):
            client.sendall(b"abc")
            assert answer(client)[2] == b"3"
        wait_until_idle(services)
        assert not any(room._held for room in services.workload.api._rooms)


def test_forms_and_the_api_do_not_take_each_others_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workload, "FORMS", 2)
    services = services_with(concurrent_requests=1)
    with standing(BodyLimits(Reader(), services=services)) as port, ExitStack() as stack:
        forms = [hold(stack, port, f"192.0.2.{i}", "/sign-in") for i in range(2)]
        until(lambda: services.workload.forms.free == 0)
        assert answer(hold(stack, port, "192.0.2.9", "/sign-in"))[0] == 429
        calls = [hold(stack, port, "192.0.2.1")]
        until(lambda: services.workload.num_running == 1)
        assert answer(hold(stack, port, "192.0.2.9"))[0] == 429
        with connect(port) as client:
            client.sendall(head("/health", length=0))  # and what has no body waits for nobody
            assert answer(client)[0] == 200
        for client in (*forms, *calls):
            client.sendall(b"abc")
            assert answer(client)[0] == 200


def test_bodies_share_a_bounded_memory() -> None:
    reader = Reader()
    reader.may_answer.clear()
    services = services_with(in_flight_bytes=1000)
    with standing(BodyLimits(reader, services=services)) as port, connect(port) as first, connect(port) as second:
        first.sendall(head(length=600) + bytes(600))
        until(lambda: services.workload.bytes.free == 400)
        second.sendall(head(length=600, X_Forwarded_For="192.0.2.1") + bytes(600))  # announced
        assert answer(second)[0] == 429
        second.sendall(head(length=200) + bytes(200))  # of the same sender, who has enough
        assert answer(second)[0] == 429
        second.sendall(head(X_Forwarded_For="192.0.2.1") + b"190\r\n" + bytes(400) + b"\r\n")  # fits so far
        second.sendall(b"1\r\n.\r\n0\r\n\r\n")
        assert code_of(answer(second)[2]) == "server_is_overloaded"
        reader.may_answer.set()
        assert answer(first)[2] == b"600"
        wait_until_idle(services)


def test_much_memory_that_was_freed_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it is given back to the system."""
    monkeypatch.setattr(workload, "MUCH_BYTES", 500)
    services = services_with()
    with standing(BodyLimits(Reader(), services=services)) as port, connect(port) as client:
        for length, much in ((499, False), (600, True), (400, False)):
            client.sendall(head(length=length) + bytes(length))
            answer(client)
            wait_until_idle(services)
            assert services.workload.has_freed_much() is much
        assert not services.workload.has_freed_much()


def test_an_account_is_one_sender_whatever_its_addresses(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is known by its key before the body is read."""
    slots = Budget(8, ways=2)
    monkeypatch.setattr(server.services.workload, "api", slots)
    port = int(server.base_url.rpartition(":")[2])
    keys = {name: server.new_key(f"{name}@example.org") for name in ("greedy", "modest")}

    def ask(stack: ExitStack, name: str, address: str) -> socket.socket:
        client = stack.enter_context(connect(port))
        headers = {"X_Forwarded_For": address, "Authorization": f"Bearer {keys[name]}"}
        client.sendall(head("/v1/embeddings", length=2, **headers))
        return client

    with ExitStack() as stack:
        greedy = [ask(stack, "greedy", f"192.0.2.{i}") for i in range(6)]
        until(lambda: sorted(slots._rooms[1]._held.values()) == [6])
        status, _, body = answer(ask(stack, "greedy", "192.0.2.200"))
        assert (status, code_of(body)) == (429, "server_is_overloaded")
        modest = ask(stack, "modest", "192.0.2.201")
        for client in (*greedy, modest):
            client.sendall(b"{}")
            assert code_of(answer(client)[2]) == "missing_parameter"
    until(lambda: slots.free == 8)
    assert not any(room._held for room in slots._rooms)


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
        for path, status in (("/sign-in", 413), ("/v1/embeddings", 200)):
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


def test_an_answer_that_is_not_read_keeps_its_slot() -> None:
    services = services_with(concurrent_requests=4)

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(bytes(64 << 20))(scope, receive, send)

    with standing(BodyLimits(large, services=services)) as port:
        with connect(port) as client:
            client.sendall(head(length=0))
            client.recv(1)
            sleep(0.3)
            assert services.workload.num_running == 1
        wait_until_idle(services)

"""What balancers, supervisors and Prometheus are told."""

import base64
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request as Asked
from urllib.request import urlopen

import httpx2
import pytest
from starlette.requests import Request

from sonant import __version__
from sonant.server.accounts import accounts, database
from sonant.server.operations.health import is_local
from sonant.server.sharing.budget import Budget
from tests.server.running import RunningServer
from tests.server.speech import clip


def get(server: RunningServer, path: str, **headers: str) -> tuple[int, bytes]:
    try:
        with urlopen(Asked(server.base_url + path, headers=headers), timeout=30) as told:
            return told.status, told.read()
    except HTTPError as error:
        return error.code, error.read()


@pytest.fixture
def draining(server: RunningServer) -> Iterator[None]:
    server.services.draining = True
    yield
    server.services.draining = False


def test_a_server_that_stands_is_alive_and_ready(server: RunningServer) -> None:
    assert get(server, "/health") == (200, b'{"status":"ok"}')
    status, body = get(server, "/ready")
    expected = {"ready": True, "models": True, "database": True, "room": True, "draining": False}
    assert (status, json.loads(body)) == (200, expected)


@pytest.mark.usefixtures("draining")
def test_a_server_that_stops_is_alive_and_takes_no_work(server: RunningServer) -> None:
    assert get(server, "/health")[0] == 200
    status, body = get(server, "/ready")
    assert (status, json.loads(body)["ready"], json.loads(body)["draining"]) == (503, False, True)
    status, body = get(server, "/v1/models", Authorization=f"Bearer {server.user_key}")
    assert (status, json.loads(body)["error"]["code"]) == (503, "server_is_draining")


def test_a_locked_database_is_told_to_everybody_until_it_is_free(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(accounts, "PROBE_SECONDS", 0.0)
    embed = {"model": "sonant/wavlm-tiny", "input": base64.b64encode(clip("en-allison-welcome", 1.0)).decode()}

    def ask() -> httpx2.Response:
        headers = {"Authorization": f"Bearer {server.user_key}"}
        return httpx2.post(f"{server.base_url}/v1/embeddings", json=embed, headers=headers, timeout=30)

    def sign_in() -> httpx2.Response:
        data = {"key": server.admin_key}
        return httpx2.post(f"{server.base_url}/sign-in", data=data, headers={"Accept": "text/html"}, timeout=30)

    spent = server.run(server.services.accounts.usage.totals(user_id=server.user_id))
    file = server.services.settings.data / "sonant.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        answers = [ask(), sign_in()]
        status, body = get(server, "/ready")
        assert time.monotonic() - start < 3
        other.execute("COMMIT")
    assert (status, json.loads(body)["database"], get(server, "/health")[0]) == (503, False, 200)
    for answer in answers:
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "6"), answer.text
    assert answers[0].json()["error"]["code"] == "database_unavailable"
    assert answers[1].headers["content-type"].startswith("text/html")
    assert get(server, "/ready")[0] == 200
    assert (ask().status_code, sign_in().status_code) == (200, 303)
    now = server.run(server.services.accounts.usage.totals(user_id=server.user_id))
    assert now.requests == spent.requests + 1


def test_asking_often_writes_seldom(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "PROBE_SECONDS", 60.0)
    probe, tried = server.services.accounts._servers.probe, []

    async def counted() -> None:
        tried.append(1)
        await probe()

    monkeypatch.setattr(server.services.accounts._servers, "probe", counted)
    server.services.accounts._database.tried = 0.0
    assert {get(server, "/ready")[0] for _ in range(20)} == {200}
    assert len(tried) <= 1


@pytest.mark.parametrize("resource", ["api", "bytes"])
def test_without_room_for_a_new_sender_it_is_not_ready(
    resource: str, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Budget(8, ways=2)
    for sender in "abcdefgh":
        full.add(1, (sender, sender))
    monkeypatch.setattr(server.services.workload, resource, full)
    status, body = get(server, "/ready")
    assert (status, json.loads(body)["room"]) == (503, False)


def test_info_tells_the_truth_about_models(server: RunningServer) -> None:
    told = json.loads(get(server, "/info")[1])
    assert told["version"] == __version__
    (model,) = told["models"]
    served = server.services.models.get("sonant/wavlm-tiny")
    for name in ("id", "dim", "num_layers", "frame_rate", "sampling_rate", "device"):
        assert model[name] == getattr(served, name)
    assert model["queue"]["waiting_requests"] == 0
    assert told["limits"]["body_bytes"] == server.services.settings.limits.body_bytes
    assert told["uptime_seconds"] >= 0


def test_metrics_are_for_this_machine_and_for_admins(server: RunningServer) -> None:
    get(server, "/health")
    status, body = get(server, "/metrics")
    assert status == 200
    assert b'sonant_requests_total{endpoint="/health",status="200"}' in body
    elsewhere = {"X-Forwarded-For": "203.0.113.7"}  # what a proxy on this machine adds
    assert get(server, "/metrics", **elsewhere)[0] == 401
    assert get(server, "/metrics", Authorization=f"Bearer {server.user_key}", **elsewhere)[0] == 403
    assert get(server, "/metrics", Authorization=f"Bearer {server.admin_key}", **elsewhere)[0] == 200


@pytest.mark.parametrize(
    ("client", "headers", "expected"),
    [
        (("127.0.0.1", 1), [], True),
        (("::1", 1), [], True),
        (("203.0.113.7", 1), [], False),
        (("127.0.0.1", 1), [(b"forwarded", b"for=203.0.113.7")], False),
        (("127.0.0.1", 1), [(b"x-real-ip", b"203.0.113.7")], False),
        (("testclient", 1), [], False),
        (None, [], False),
    ],
)
def test_who_is_local(client: Any, headers: list[tuple[bytes, bytes]], *, expected: bool) -> None:
    assert is_local(Request({"type": "http", "client": client, "headers": headers})) is expected


def test_every_operation_is_in_the_document(server: RunningServer) -> None:
    paths = json.loads(get(server, "/openapi.json")[1])["paths"]
    for path in ("/health", "/ready", "/info", "/metrics"):
        assert paths[path]["get"]["summary"]


def test_an_open_connection_is_answered_at_once(server: RunningServer) -> None:
    """Without TCP_NODELAY every answer after the first waits some 40 ms for an acknowledgment."""
    with httpx2.Client(base_url=server.base_url) as client:
        seconds = [client.get("/health").elapsed.total_seconds() for _ in range(20)]
    assert min(seconds[1:]) < 0.03

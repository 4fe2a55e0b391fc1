"""What balancers, supervisors and Prometheus are told."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request as Asked
from urllib.request import urlopen

import pytest
from starlette.requests import Request

from sonant import __version__
from sonant.server.operations.health import is_local
from tests.server.running import RunningServer


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
    assert (status, json.loads(body)) == (200, {"ready": True, "models": True, "database": True, "draining": False})


@pytest.mark.usefixtures("draining")
def test_a_server_that_stops_is_alive_and_takes_no_work(server: RunningServer) -> None:
    assert get(server, "/health")[0] == 200
    status, body = get(server, "/ready")
    assert (status, json.loads(body)["ready"], json.loads(body)["draining"]) == (503, False, True)
    status, body = get(server, "/v1/models", Authorization=f"Bearer {server.user_key}")
    assert (status, json.loads(body)["error"]["code"]) == (503, "server_is_draining")


def test_without_its_database_it_is_not_ready(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unreachable() -> bool:
        return False

    monkeypatch.setattr(server.services.accounts, "is_reachable", unreachable)
    status, body = get(server, "/ready")
    assert (status, json.loads(body)["database"]) == (503, False)


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

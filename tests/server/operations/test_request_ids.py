"""Every answer carries an id; every request leaves one line and counts once; no failure shows its inside."""

import logging
import re
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import StreamingResponse
from prometheus_client import generate_latest
from starlette.testclient import TestClient

from sonant.server import errors
from sonant.server.errors import ApiError
from sonant.server.metrics import Metrics
from sonant.server.operations.body_limits import BodyLimits
from sonant.server.operations.request_ids import RequestIds
from sonant.server.services import Services
from sonant.server.settings import Limits, ServerSettings

router = APIRouter()


@router.post("/models/{id:path}/load")
async def load(id: str, request: Request) -> dict[str, str]:  # noqa: A002
    await request.body()
    request.state.caller = SimpleNamespace(key_id=7, user_id=3, name="secret name")
    request.state.model, request.state.audio_seconds = "org/a", 2.5
    return {"id": id, "request_id": request.state.request_id}


@router.get("/broken")
async def broken() -> None:
    raise RuntimeError("the inside")


@router.get("/refused")
async def refused() -> None:
    raise ApiError(402, "insufficient_credit", "No credit.")


@router.get("/half")
async def half() -> StreamingResponse:
    async def pieces() -> Any:
        yield b"one"
        raise RuntimeError("the inside")

    return StreamingResponse(pieces())


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def client(metrics: Metrics) -> TestClient:
    nothing: Any = None
    settings = ServerSettings(limits=Limits(body_bytes=1000))
    services = Services(settings, nothing, nothing, nothing, nothing, metrics)
    app = FastAPI()
    errors.install(app)
    app.include_router(router, prefix="/v1")
    app.add_middleware(BodyLimits, services=services)
    app.add_middleware(RequestIds, services=services)
    return TestClient(app, raise_server_exceptions=False)


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [record.__dict__ for record in caplog.records if record.message == "request"]


def test_a_well_formed_id_is_taken_over(client: TestClient) -> None:
    answer = client.post("/v1/models/org/a/load", headers={"x-request-id": "trace-1.a:b_c"})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "trace-1.a:b_c"


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "é".encode(), "<script>", "a\tb"])
def test_any_other_is_replaced(client: TestClient, given: Any) -> None:
    ids = {client.get("/v1/refused", headers={"x-request-id": given}).headers["x-request-id"] for _ in range(2)}
    assert len(ids) == 2
    assert all(re.fullmatch(r"req_[0-9a-f]{32}", one) for one in ids)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v1/models/a/load", 405, "method_not_allowed"),
        ("GET", "/v1/refused", 402, "insufficient_credit"),
        ("GET", "/v1/broken", 500, "internal_error"),
        ("POST", "/v1/models/a/load", 413, "request_too_large"),
    ],
)
def test_every_failure_is_of_one_shape_and_counted(
    client: TestClient, metrics: Metrics, method: str, path: str, status: int, code: str
) -> None:
    answer = client.request(method, path, content=bytes(2000) if status == 413 else None)
    assert answer.status_code == status
    assert answer.headers["x-request-id"]
    error = answer.json()["error"]
    assert sorted(error) == ["code", "message", "param", "type"]
    assert error["code"] == code
    assert "inside" not in answer.text
    assert f'sonant_errors_total{{code="{code}"}} 1.0' in generate_latest(metrics.registry).decode()


def test_a_request_leaves_one_line(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        client.post("/v1/models/org/a/load?key=hush", content=b"audio", headers={"authorization": "Bearer sk-hush"})
    (line,) = lines(caplog)
    told = {name: line[name] for name in ("method", "path", "status", "bytes_in", "key_id", "model", "audio_seconds")}
    assert told == {
        "method": "POST",
        "path": "/v1/models/{id}/load",
        "status": 200,
        "bytes_in": 5,
        "key_id": 7,
        "model": "org/a",
        "audio_seconds": 2.5,
    }
    assert line["seconds"] >= 0
    assert "hush" not in str(line)
    assert "secret name" not in str(line)


def test_the_traceback_is_in_the_log_under_the_id(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    answer = client.get("/v1/broken")
    (failure,) = [record for record in caplog.records if record.exc_info]
    assert failure.request_id == answer.headers["x-request-id"]
    assert "the inside" in str(failure.exc_info[1])


def test_an_answer_that_breaks_off_is_not_patched_up(metrics: Metrics, client: TestClient) -> None:
    with pytest.raises(RuntimeError, match="the inside"):
        TestClient(client.app).get("/v1/half")
    assert "sonant_in_flight_requests 0.0" in generate_latest(metrics.registry).decode()


def test_the_metrics_do_not_grow_with_what_strangers_ask_for(client: TestClient, metrics: Metrics) -> None:
    for number in range(20):
        client.post(f"/v1/models/m{number}/load")
        client.get(f"/made/up/{number}")
        client.request(f"ODD{number}", "/v1/refused")
    text = generate_latest(metrics.registry).decode()
    counted = re.findall(r'^sonant_requests_total\{endpoint="([^"]*)",status="(\d+)"\} (\S+)', text, re.MULTILINE)
    assert sorted(counted) == [
        ("/v1/models/{id}/load", "200", "20.0"),
        ("/v1/refused", "405", "20.0"),
        ("other", "404", "20.0"),
    ]

"""The way of a request through the server: what it may hold, what it pays, and what becomes of it when nobody waits."""

import base64
import io
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx2
import numpy as np
import pytest
import soundfile

from sonant.server.settings import Limits, Queue, ServerSettings
from tests.server.routes.impatience import connected
from tests.server.running import RunningServer, running
from tests.server.speech import clip
from tests.server.waiting import until

MODEL = "sonant/wavlm-tiny"
ONE_SECOND, TWO_SECONDS, LONG = (clip("en-allison-busy", seconds) for seconds in (1.0, 2.0, 2.5))
LIMITS = Limits(audio_bytes=100_000, audio_seconds=2.2, request_seconds=3.0, inputs=3, response_bytes=200_000)


@pytest.fixture(scope="module")
def small_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that takes little at a time."""
    folder = tmp_path_factory.mktemp("server")
    with running(ServerSettings(data=folder, limits=LIMITS, queue=Queue(seconds=4.0))) as up:
        yield up


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _ask(server: RunningServer, body: dict[str, Any], key: str | None = None, **how: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {key or server.user_key}"}
    return httpx2.post(f"{server.base_url}/v1/embeddings", headers=headers, json={"model": MODEL, **body}, **how)


@contextmanager
def _busy(server: RunningServer) -> Iterator[None]:
    """The model computes nothing while this lasts."""
    free = threading.Event()
    for worker in server.services.models.get(MODEL)._batcher._workers:
        worker.submit(free.wait)
    try:
        yield
    finally:
        free.set()


def _waiting(server: RunningServer) -> int:
    return server.services.models.get(MODEL).stats.waiting_requests


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"input": _text(b"x" * 100_001)}, 413, "audio_too_large", "input"),
        ({"input": [_text(ONE_SECOND), _text(b"x" * 200_000)]}, 413, "audio_too_large", "input[1]"),
        ({"input": [_text(ONE_SECOND), _text(LONG)]}, 413, "audio_too_long", "input[1]"),
        ({"input": [_text(TWO_SECONDS)] * 2}, 413, "request_too_long", None),
        ({"input": [_text(ONE_SECOND)] * 4}, 400, "too_many_inputs", "input"),
        ({"input": _text(ONE_SECOND), "output": "frames", "layer": "all"}, 413, "response_too_large", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_limits(small_server: RunningServer, body: dict[str, Any], status: int, code: str, param: str | None) -> None:
    response = _ask(small_server, body)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (status, code, param)
    assert response.headers["x-request-id"]


def test_a_file_beyond_its_limit(small_server: RunningServer) -> None:
    response = httpx2.post(
        f"{small_server.base_url}/v1/embeddings",
        headers={"Authorization": f"Bearer {small_server.user_key}"},
        data={"model": MODEL},
        files={"file": b"x" * 100_001},
    )
    assert (response.status_code, response.json()["error"]["code"]) == (413, "audio_too_large")


def test_a_full_queue_refuses_at_once_and_serves_what_it_took(small_server: RunningServer) -> None:
    others = [small_server.new_key(f"full-{number}@example.org") for number in range(3)]
    with ThreadPoolExecutor() as clients, _busy(small_server):
        taken = []
        for number, key in enumerate(others[:2]):  # 4 s in all: as much as may wait
            taken.append(clients.submit(_ask, small_server, {"input": _text(TWO_SECONDS)}, key, timeout=60))
            until(lambda expected=number + 1: _waiting(small_server) == expected)  # type: ignore[misc]
        start = time.monotonic()
        refused = _ask(small_server, {"input": _text(ONE_SECOND)}, others[2])
        assert time.monotonic() - start < 2.0
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "server_is_overloaded")
        assert int(refused.headers["Retry-After"]) >= 1
    assert [each.result().status_code for each in taken] == [200, 200]


def test_a_client_that_leaves_pays_nothing_and_its_work_is_dropped(small_server: RunningServer) -> None:
    credit = small_server.services.accounts.credit
    before = small_server.run(credit.of(small_server.user_id))
    with _busy(small_server):
        with connected(small_server, "/v1/embeddings", {"model": MODEL, "input": _text(ONE_SECOND)}):
            until(lambda: _waiting(small_server) == 1)
            assert small_server.run(credit.of(small_server.user_id)) < before, "it is held"
        until(lambda: _waiting(small_server) == 0)
        until(lambda: small_server.run(credit.of(small_server.user_id)) == before)
    assert _ask(small_server, {"input": _text(ONE_SECOND)}).status_code == 200


def test_what_fails_is_not_charged(small_server: RunningServer) -> None:
    key, user_id = small_server.run(_poor_user(small_server))
    assert _ask(small_server, {"input": [_text(ONE_SECOND), "AAAA"]}, key).status_code == 400
    assert _ask(small_server, {"input": _text(TWO_SECONDS)}, key).status_code == 402  # costs more than there is
    assert small_server.run(small_server.services.accounts.credit.of(user_id)) == Decimal("0.000004")
    assert _ask(small_server, {"input": _text(ONE_SECOND)}, key).status_code == 200
    assert small_server.run(small_server.services.accounts.credit.of(user_id)) < Decimal("0.000002")


def test_what_is_not_covered_is_refused_by_the_header_before_it_is_decoded(small_server: RunningServer) -> None:
    """What is wrong with the samples is not noticed any more."""
    file = io.BytesIO()
    soundfile.write(file, np.full(2000, np.nan), 1000, format="WAV", subtype="FLOAT")
    unusable = _text(file.getvalue())
    key, _ = small_server.run(_poor_user(small_server, "poorer@example.org"))
    slow = small_server.new_key("slow@example.org", audio_seconds_per_minute=1.5)
    codes = [_ask(small_server, {"input": unusable}, one).json()["error"]["code"] for one in (None, key, slow)]
    assert codes == ["non_finite_audio", "insufficient_credit", "audio_too_long"]


def test_audio_of_requests_that_fail_counts_for_the_rate(small_server: RunningServer) -> None:
    key = small_server.new_key("fails@example.org", audio_seconds_per_minute=3.5)
    for _ in range(3):
        assert _ask(small_server, {"input": [_text(ONE_SECOND), "AAAA"]}, key).status_code == 400
    refused = _ask(small_server, {"input": _text(ONE_SECOND)}, key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")


async def _poor_user(server: RunningServer, email: str = "poor@example.org") -> tuple[str, int]:
    accounts = server.services.accounts
    user = await accounts.users.create(email, credit=Decimal("0.000004"), by="tests")
    return (await accounts.keys.create(user.id, "tests", by="tests")).secret, user.id


def test_metrics_tell_of_stages_and_audio(small_server: RunningServer) -> None:
    registry = small_server.services.metrics.registry

    def read() -> dict[str, float]:
        named = {"model": MODEL, "endpoint": "/v1/embeddings"}
        stages = {
            stage: registry.get_sample_value("sonant_stage_seconds_count", {"stage": stage, "model": MODEL}) or 0.0
            for stage in ("receive", "decode", "queue", "forward", "respond")
        }
        return stages | {
            name: registry.get_sample_value(f"sonant_{name}_total", named) or 0.0
            for name in ("audio_seconds", "tokens")
        }

    before = read()
    assert _ask(small_server, {"input": _text(ONE_SECOND)}).status_code == 200
    grown = {name: value - before[name] for name, value in read().items()}
    assert grown == pytest.approx(
        {"receive": 1, "decode": 1, "queue": 1, "forward": 1, "respond": 1, "audio_seconds": 1.0, "tokens": 49}
    )

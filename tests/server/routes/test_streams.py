"""Transcripts of long recordings, told as the windows are done; and who pays when the client does not wait."""

import base64
import io
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest

from sonant.server.errors import ApiError
from sonant.server.settings import Queue, ServerSettings
from tests.server.routes.impatience import connected
from tests.server.running import RunningServer, running
from tests.server.speech import clip
from tests.server.waiting import until

RECORDING = clip("en-allison-queue", 6.0)
BODY = {"model": "recognizer", "stream": True, "file": base64.b64encode(RECORDING).decode()}
PATH = "/v1/audio/transcriptions"


class Gate:
    """In the place of a model's forward pass: waits for leave before each, or fails."""

    def __init__(self, forward: Any) -> None:
        self._forward = forward
        self.leave = threading.Semaphore(0)
        self.passes = 0
        self.error: Exception | None = None

    def __call__(self, *clips: Any, **how: Any) -> Any:
        self.leave.acquire()
        if self.error is not None:
            raise self.error
        self.passes += 1
        return self._forward(*clips, **how)


@pytest.fixture(scope="module")
def server(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Cuts recordings into windows of a second, one a pass."""
    folder, model = tmp_path_factory.mktemp("server"), str(checkpoints / "recognizer")
    queue = Queue(window_seconds=1.0, batch_seconds=1.0)
    with running(ServerSettings(data=folder, models=(model,), queue=queue)) as up:
        yield up


@pytest.fixture
def gate(server: RunningServer) -> Iterator[Gate]:
    workers = server.services.models.get("recognizer")._batcher._workers
    gate = Gate(workers[0].forward)
    for worker in workers:
        worker.forward = gate  # type: ignore[assignment]
    yield gate
    for worker in workers:
        del worker.forward
    gate.leave.release(1000)


def _waiting(server: RunningServer) -> int:
    return server.services.models.get("recognizer").stats.waiting_requests


def _credit(server: RunningServer) -> Decimal:
    return server.run(server.services.accounts.credit.of(server.user_id))


def _create(server: RunningServer, *, key: str | None = None, **how: Any) -> Any:
    client = server.client(key)
    return client.audio.transcriptions.create(model="recognizer", file=("a.wav", io.BytesIO(RECORDING)), **how)


def test_a_long_recording_is_told_window_by_window(server: RunningServer) -> None:
    events = list(_create(server, stream=True))
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert len(deltas) > 4
    assert "".join(deltas) == events[-1].text == _create(server).text


def test_the_first_words_come_before_the_last_pass(server: RunningServer, gate: Gate) -> None:
    gate.leave.release(2)
    events = _create(server, stream=True)
    assert next(iter(events)).delta
    assert gate.passes <= 2
    gate.leave.release(100)
    assert list(events)[-1].type == "transcript.text.done"


def test_who_was_told_something_pays(server: RunningServer, gate: Gate) -> None:
    before = _credit(server)
    with connected(server, PATH, BODY) as connection:
        gate.leave.release(3)
        received = b""
        while received.count(b"transcript.text.delta") < 2:
            received += connection.recv(1 << 16)
    until(lambda: _waiting(server) == 0)
    until(lambda: _credit(server) < before)
    gate.leave.release(100)
    assert gate.passes <= 4, "the rest is dropped"


def test_who_was_told_nothing_does_not(server: RunningServer, gate: Gate) -> None:
    before = _credit(server)
    with connected(server, PATH, BODY):
        until(lambda: _waiting(server) == 1)
        assert _credit(server) < before, "it is held"
    until(lambda: _waiting(server) == 0)
    until(lambda: _credit(server) == before)


def test_a_stream_that_breaks_off_says_why_and_costs_nothing(server: RunningServer, gate: Gate) -> None:
    before = _credit(server)
    gate.leave.release(2)
    events = iter(_create(server, stream=True))
    next(events)
    gate.error = ApiError(500, "internal_error", "out of order")
    gate.leave.release(100)
    with pytest.raises(openai.APIError) as caught:
        list(events)
    assert caught.value.code == "internal_error"
    assert _credit(server) == before


def test_what_goes_wrong_before_the_first_word_has_its_own_status(server: RunningServer) -> None:
    key = server.new_key("penniless@example.org", credit=Decimal(0))
    with pytest.raises(openai.APIStatusError) as caught:
        _create(server, key=key, stream=True)
    assert caught.value.status_code == 402

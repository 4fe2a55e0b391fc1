"""What requests hold in memory is bounded, and comes back, however slowly an answer is read."""

import base64
import io
import socket
from collections.abc import Iterator
from decimal import Decimal

import httpx2
import numpy as np
import pytest
import soundfile

from sonant.server.routes import piecewise
from sonant.server.settings import MIB, Limits, ServerSettings
from tests.heads import write_masks
from tests.server.routes.impatience import connected
from tests.server.running import RunningServer, running
from tests.server.waiting import until

MODEL, ENHANCER = "sonant/wavlm-tiny", "enhancer"
LIMITS = Limits(in_flight_bytes=64 * MIB, send_seconds=2.0)


@pytest.fixture(scope="module")
def narrow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with little memory for requests and little patience."""
    enhancer = write_masks(tmp_path_factory.mktemp("models") / ENHANCER, kind="enhancement")
    folder = tmp_path_factory.mktemp("server")
    with running(ServerSettings(data=folder, limits=LIMITS, models=(MODEL, str(enhancer)))) as up:
        yield up


def _noise(seconds: int) -> str:
    file = io.BytesIO()
    samples = np.random.default_rng(0).integers(-3, 4, 16_000 * seconds).astype(np.int16)
    soundfile.write(file, samples, 16_000, format="FLAC")
    return base64.b64encode(file.getvalue()).decode()


def _held(server: RunningServer) -> float:
    value = server.services.metrics.registry.get_sample_value("sonant_in_flight_bytes")
    assert value is not None
    return value


def _ask(server: RunningServer, **body: object) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {server.user_key}"}
    return httpx2.post(f"{server.base_url}/v1/embeddings", headers=headers, json={"model": MODEL, **body}, timeout=60.0)


@pytest.mark.parametrize("output", ["utterance", "frames"])
def test_audio_and_answers_that_do_not_fit_are_refused(narrow_server: RunningServer, output: str) -> None:
    """A recording of 15 minutes is 55 MiB; eight minutes are less, and their frames of all layers are more."""
    how = {"input": _noise(900)} if output == "utterance" else {"input": [_noise(120)] * 4, "layer": "all"}
    refused = _ask(narrow_server, output=output, **how)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "server_is_overloaded")
    until(lambda: _held(narrow_server) == 0)
    assert _ask(narrow_server, input=_noise(1)).status_code == 200


def test_large_answers_are_whole(narrow_server: RunningServer) -> None:
    how = {"input": [_noise(5), _noise(3)], "output": "frames", "layer": "all"}
    packed = _ask(narrow_server, encoding_format="base64", **how).json()["data"]
    for item, other in zip(_ask(narrow_server, **how).json()["data"], packed, strict=True):
        numbers = np.frombuffer(base64.b64decode(other["embedding"]), "<f4").reshape(other["shape"])
        assert np.array_equal(np.array(item["embedding"], np.float32), numbers)
    until(lambda: _held(narrow_server) == 0)


@pytest.mark.parametrize(
    ("path", "how"),
    [
        ("/v1/embeddings", {"model": MODEL, "output": "frames", "layer": "all"}),
        ("/v1/audio/enhancements", {"model": ENHANCER}),
    ],
)
def test_an_answer_that_is_not_read_is_given_up_charged_once_and_its_memory_comes_back(
    narrow_server: RunningServer, monkeypatch: pytest.MonkeyPatch, path: str, how: dict[str, str]
) -> None:
    monkeypatch.setattr(piecewise, "BYTES_A_TIMEOUT", 1 << 40)
    credit = narrow_server.services.accounts.credit
    before = narrow_server.run(credit.of(narrow_server.user_id))
    with connected(narrow_server, path, {**how, "input": _noise(30)}) as connection:
        connection.settimeout(60.0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
        assert connection.recv(1) == b"H"  # the answer has begun
        assert _held(narrow_server) > MIB
        until(lambda: _held(narrow_server) == 0, seconds=60.0)
    cost = narrow_server.services.settings.price_of(how["model"]).cost(0, 30.0)
    assert narrow_server.run(credit.of(narrow_server.user_id)) == before - cost.quantize(Decimal("1e-9"))

"""Enhancement and separation through the server: the samples of Python in every format, within limits, charged."""

import base64
import io
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import soundfile

import sonant
from sonant.server.settings import Limits, Queue, ServerSettings
from tests.server.running import RunningServer, running
from tests.server.speech import clip

ONE, OTHER = clip("en-allison-welcome", 1.0), clip("it-carlo-busy", 2.0)
ROUTES = {"enhancements": "enhancer", "separations": "separator"}


def ask(server: RunningServer, path: str, key: str | None = None, **how: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {key or server.user_key}"}
    return httpx2.post(f"{server.base_url}/v1/audio/{path}", headers=headers, **how)


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def samples_of(file: bytes) -> np.ndarray:
    """(channels, samples), at the model's rate."""
    samples, rate = soundfile.read(io.BytesIO(file), dtype="float32", always_2d=True)
    assert rate == 16_000
    return samples.T


def expected(checkpoints: Path, path: str, recording: Any, **how: Any) -> np.ndarray:
    """(sources, samples), as Python gives them."""
    encoder = sonant.load(checkpoints / ROUTES[path])
    return np.atleast_2d((encoder.enhance if path == "enhancements" else encoder.separate)(recording, **how))


@pytest.mark.parametrize("path", ROUTES)
def test_samples_are_those_of_python_in_every_format(heads_server: RunningServer, checkpoints: Path, path: str) -> None:
    wanted = expected(checkpoints, path, OTHER)
    files = {"file": OTHER}
    wav = ask(heads_server, path, data={"model": ROUTES[path], "response_format": "wav"}, files=files)
    assert (wav.headers["content-type"], len(wav.content)) == ("audio/wav", int(wav.headers["content-length"]))
    assert np.array_equal(samples_of(wav.content), wanted)
    flac = ask(heads_server, path, data={"model": ROUTES[path], "response_format": "flac"}, files=files)
    assert flac.headers["content-type"] == "audio/flac"
    peak = max(1.0, float(np.abs(wanted).max()))
    assert ("x-audio-warning" in flac.headers) == (peak > 1)
    np.testing.assert_allclose(samples_of(flac.content), wanted / peak, rtol=0, atol=2.0**-22)
    body = {"model": ROUTES[path], "response_format": "json", "input": text(OTHER)}
    answer = ask(heads_server, path, json=body).json()
    assert (answer["object"], answer["model"], answer["sampling_rate"]) == ("list", ROUTES[path], 16_000)
    found = [samples_of(base64.b64decode(item["audio"]["data"]))[0] for item in answer["data"]]
    assert np.array_equal(found, wanted)
    for item in answer["data"]:
        assert (item["index"], item["duration"], item["audio"]["format"]) == (0, 2.0, "wav")
    default = ask(heads_server, path, data={"model": ROUTES[path]}, files=files)
    assert default.content == wav.content if path == "enhancements" else default.json()["data"] == answer["data"]


def test_speakers_are_named_in_the_order_of_the_model(heads_server: RunningServer) -> None:
    items = ask(heads_server, "separations", json={"model": "separator", "file": text(ONE)}).json()["data"]
    assert [item["speaker"] for item in items] == ["speaker_1", "speaker_2"]


@pytest.mark.parametrize("path", ROUTES)
def test_several_recordings_are_what_they_are_alone(heads_server: RunningServer, path: str) -> None:
    how = {"model": ROUTES[path], "response_format": "json"}
    together = ask(heads_server, path, data=how, files=[("file", ONE), ("file", OTHER)]).json()
    alone = [
        item for one in (ONE, OTHER) for item in ask(heads_server, path, json={**how, "file": text(one)}).json()["data"]
    ]
    assert [item["index"] for item in together["data"]] == sorted([0, 1] * (len(alone) // 2))
    for item, other in zip(together["data"], alone, strict=True):
        found, single = (samples_of(base64.b64decode(each["audio"]["data"])) for each in (item, other))
        np.testing.assert_allclose(found, single, rtol=0, atol=1e-5)
    assert together["usage"]["seconds"] == 3.0


def test_what_was_separated_is_sent_on_as_it_came(heads_server: RunningServer, checkpoints: Path) -> None:
    speakers = ask(heads_server, "separations", json={"model": "separator", "file": text(OTHER)}).json()["data"]
    labels = ask(heads_server, "classifications", json={"model": "emotions", "file": speakers}).json()["data"]
    wanted = sonant.classify(list(expected(checkpoints, "separations", OTHER)), model=checkpoints / "emotions")
    for item, scores in zip(labels, wanted, strict=True):
        assert item["label"] == max(scores, key=scores.__getitem__)


@pytest.mark.parametrize("path", ROUTES)
def test_it_is_charged_and_counted(heads_server: RunningServer, path: str) -> None:
    def credit() -> Any:
        return heads_server.run(heads_server.services.accounts.credit.of(heads_server.user_id))

    before = credit()
    how = {"model": ROUTES[path], "response_format": "json"}
    answer = ask(heads_server, path, data=how, files={"file": ONE}).json()
    assert f"{before - credit():f}" == answer["usage"]["cost"] != "0"
    metrics = httpx2.get(
        f"{heads_server.base_url}/metrics", headers={"Authorization": f"Bearer {heads_server.admin_key}"}
    )
    assert f'endpoint="/v1/audio/{path}"' in metrics.text


@pytest.mark.parametrize("path", ROUTES)
def test_what_is_refused(heads_server: RunningServer, path: str) -> None:
    model, before = ROUTES[path], heads_server.run(heads_server.services.accounts.credit.of(heads_server.user_id))
    for body, status, code, param in (
        ({"model": "recognizer", "file": text(ONE)}, 400, "unsupported_ability", "model"),
        ({"model": model}, 400, "missing_parameter", "file"),
        ({"model": model, "file": text(ONE), "response_format": "mp3"}, 400, "invalid_value", "response_format"),
        ({"model": model, "file": [text(ONE)] * 2, "response_format": "wav"}, 400, "too_many_inputs", "file"),
        ({"model": model, "file": text(b"no audio" * 20)}, 400, "invalid_audio", "file"),
        ({"model": model, "file": text(clip("it-carlo-busy", 0.01))}, 400, "audio_too_short", "file"),
        ({"model": model, "file": text(ONE), "speakers": 2}, 400, "unknown_parameter", "speakers"),
    ):
        answer = ask(heads_server, path, json=body)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (status, code, param), error
    told = ask(heads_server, path, json={"model": "recognizer", "file": text(ONE)}).json()["error"]["message"]
    assert f"Ask for {model}." in told
    key = heads_server.new_key(f"without-{path}@example.org", scopes=["embeddings"])
    assert ask(heads_server, path, key, json={"model": model, "file": text(ONE)}).status_code == 403
    assert heads_server.run(heads_server.services.accounts.credit.of(heads_server.user_id)) == before


def test_long_recordings_and_answers_that_are_too_large(checkpoints: Path, tmp_path: Path) -> None:
    """Windows are joined as by Python; what would not fit is refused before it is computed, with what does."""
    limits = Limits(response_bytes=260_000)
    models = tuple(str(checkpoints / name) for name in ROUTES.values())
    settings = ServerSettings(data=tmp_path / "data", models=models, queue=Queue(window_seconds=1.0), limits=limits)
    with running(settings) as server:
        for path, model in ROUTES.items():
            wanted = expected(checkpoints, path, OTHER, window_seconds=1.0)
            answer = ask(server, path, data={"model": model, "response_format": "wav"}, files={"file": OTHER})
            np.testing.assert_allclose(samples_of(answer.content), wanted, rtol=0, atol=1e-5)
        for path, how, seconds in (
            ("enhancements", "wav", 4),
            ("enhancements", "flac", 2),
            ("separations", "json", 2),
            ("separations", "flac", 1),
        ):
            long = clip("en-allison-queue", seconds + 0.5)
            body = {"model": ROUTES[path], "file": text(long), "response_format": how}
            answer = ask(server, path, json=body)
            error = answer.json()["error"]
            assert (answer.status_code, error["code"]) == (413, "response_too_large"), error
            assert f"Send {seconds} s or less" in error["message"]

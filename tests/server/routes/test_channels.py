"""Channels through the server: what `encode`, `transcribe` and `diarize` say of them."""

import base64
import io
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import soundfile

import sonant
from tests.server.running import RunningServer
from tests.server.speech import clip

MODEL = "sonant/wavlm-tiny"


def _call(*, upside_down: bool = False) -> bytes:
    """Two speakers, one on each channel; or one, and upside down on the other channel."""
    left, rate = soundfile.read(io.BytesIO(clip("en-allison-welcome", 2.0)))
    right, _ = soundfile.read(io.BytesIO(clip("it-carlo-busy", 2.0)))
    file = io.BytesIO()
    soundfile.write(file, np.stack([left, -left if upside_down else right], axis=1), rate, format="FLAC")
    return file.getvalue()


CALL, MONO = _call(), clip("en-allison-welcome", 1.0)


def _post(server: RunningServer, path: str, **how: Any) -> httpx2.Response:
    return httpx2.post(f"{server.base_url}/v1/{path}", headers={"Authorization": f"Bearer {server.user_key}"}, **how)


def test_embeddings(server: RunningServer) -> None:
    encoder = sonant.load(MODEL)
    for channel in ("mix", 0, 1):
        given = {"model": MODEL, "input": base64.b64encode(CALL).decode(), "channel": channel}
        (item,) = _post(server, "embeddings", json=given).json()["data"]
        expected = encoder.encode(CALL, pool="mean", channel=channel)
        np.testing.assert_allclose(item["embedding"], expected, atol=2e-5)
        assert "channel" not in item
    answer = _post(
        server, "embeddings", data={"model": MODEL, "channel": "all"}, files=[("file", MONO), ("file", CALL)]
    ).json()
    assert [(item["index"], item["channel"]) for item in answer["data"]] == [(0, 0), (1, 0), (1, 1)]
    vectors = [vector for channels in encoder.encode([MONO, CALL], pool="mean", channel="all") for vector in channels]
    np.testing.assert_allclose([item["embedding"] for item in answer["data"]], vectors, atol=2e-5)
    assert answer["usage"]["audio_seconds"] == pytest.approx(5.0, abs=0.01)
    form = _post(server, "embeddings", data={"model": MODEL, "channel": "1"}, files={"file": CALL}).json()["data"][0]
    np.testing.assert_allclose(form["embedding"], vectors[2], atol=2e-5)


def test_what_is_no_channel(server: RunningServer) -> None:
    for channel in ("left", -1, 64, 0.5):
        given = {"model": MODEL, "input": base64.b64encode(CALL).decode(), "channel": channel}
        error = _post(server, "embeddings", json=given).json()["error"]
        assert (error["code"], error["param"]) == ("invalid_value", "channel")
    for files, channel in (([("file", CALL), ("file", MONO)], 1), ([("file", MONO), ("file", MONO)], 9)):
        answer = _post(server, "embeddings", data={"model": MODEL, "channel": channel}, files=files)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "missing_channel"
    assert answer.json()["error"]["param"].startswith("file[")


def test_channels_that_cancel_are_told_in_a_header(server: RunningServer) -> None:
    upside_down = _call(upside_down=True)
    given = {"files": [("file", MONO), ("file", upside_down)], "data": {"model": MODEL}}
    answer = _post(server, "embeddings", **given)
    assert answer.status_code == 200
    assert answer.headers["x-audio-warning"].startswith("file[1]: ")
    assert "channel=0" in answer.headers["x-audio-warning"]
    given["data"]["channel"] = "0"
    assert "x-audio-warning" not in _post(server, "embeddings", **given).headers


def test_transcripts(heads_server: RunningServer, checkpoints: Path) -> None:
    expected = sonant.load(checkpoints / "recognizer").transcribe(CALL, channel="all")
    path, files = "audio/transcriptions", {"file": CALL}
    given = {"model": "recognizer", "channel": "all"}
    answer = _post(heads_server, path, data=given, files=files).json()
    assert answer["text"] == "\n".join(transcript.text for transcript in expected)
    assert answer["channels"] == [{"channel": k, "text": transcript.text} for k, transcript in enumerate(expected)]
    assert answer["usage"]["seconds"] == 4.0
    words = {**given, "response_format": "verbose_json", "timestamp_granularities[]": "word"}
    channels = _post(heads_server, path, data=words, files=files).json()["channels"]
    for channel, transcript in zip(channels, expected, strict=True):
        assert channel["duration"] == 2.0
        assert [word["word"] for word in channel["words"]] == [word.text for word in transcript.words]
    text = _post(heads_server, path, data={**given, "response_format": "text"}, files=files).text
    assert text == f"{answer['text']}\n"
    for more in ({"response_format": "srt"}, {"response_format": "vtt"}, {"stream": "true"}):
        error = _post(heads_server, path, data={**given, **more}, files=files).json()["error"]
        assert (error["code"], error["param"]) == ("invalid_value", "channel")
    one = _post(heads_server, path, data={**given, "channel": "1", "response_format": "srt"}, files=files)
    assert one.status_code == 200


def test_turns(heads_server: RunningServer, checkpoints: Path) -> None:
    expected = sonant.load(checkpoints / "diarizer").diarize(CALL, channel="all")
    path, files = "audio/diarizations", {"file": CALL}
    answer = _post(heads_server, path, data={"model": "diarizer", "channel": "all"}, files=files).json()
    turns = sorted((turn.start_seconds, k, turn.speaker) for k, channel in enumerate(expected) for turn in channel)
    found = sorted((item["start"], item["channel"], item["speaker"]) for item in answer["segments"])
    assert [item[1:] for item in found] == [turn[1:] for turn in turns]
    assert {channel for _, channel, _ in found} == {0, 1}
    starts = [item["start"] for item in answer["segments"]]
    assert starts == sorted(starts)
    assert answer["num_speakers"] == len({speaker for _, _, speaker in turns})
    assert (answer["duration"], answer["usage"]["seconds"]) == (2.0, 4.0)
    for channel, numbers in (("all", {"1", "2"}), ("1", {"2"}), ("mix", {"1"})):
        given = {"model": "diarizer", "channel": channel, "response_format": "rttm"}
        lines = _post(heads_server, path, data=given, files=files).text.splitlines()
        assert {line.split()[2] for line in lines} == numbers


def test_sources(heads_server: RunningServer, checkpoints: Path) -> None:
    """A file of enhanced channels, and items for each channel and speaker."""
    path, files = "audio/enhancements", {"file": CALL}
    enhanced = np.stack(sonant.load(checkpoints / "enhancer").enhance(CALL, channel="all"))
    answer = _post(heads_server, path, data={"model": "enhancer", "channel": "all"}, files=files)
    found, _ = soundfile.read(io.BytesIO(answer.content), dtype="float32")
    np.testing.assert_allclose(found.T, enhanced, rtol=0, atol=1e-5)
    given = {"model": "enhancer", "channel": "1"}
    found, _ = soundfile.read(io.BytesIO(_post(heads_server, path, data=given, files=files).content), dtype="float32")
    np.testing.assert_allclose(found, enhanced[1], rtol=0, atol=1e-5)
    path, given = "audio/separations", {"model": "separator", "channel": "all"}
    separated = sonant.load(checkpoints / "separator").separate(CALL, channel="all")
    items = _post(heads_server, path, data=given, files=files).json()["data"]
    places = [(k, f"speaker_{number}") for k in range(2) for number in (1, 2)]
    assert [(item["channel"], item["speaker"]) for item in items] == places
    for item, wanted in zip(items, np.concatenate(separated), strict=True):
        found, _ = soundfile.read(io.BytesIO(base64.b64decode(item["audio"]["data"])), dtype="float32")
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
    error = _post(heads_server, path, data={**given, "response_format": "wav"}, files=files).json()["error"]
    assert (error["code"], error["param"]) == ("invalid_value", "channel")
    wide = io.BytesIO()
    soundfile.write(wide, np.random.default_rng(0).uniform(-0.1, 0.1, (8_000, 9)), 16_000, format="WAV")
    given = {"model": "enhancer", "channel": "all", "response_format": "flac"}
    error = _post(heads_server, "audio/enhancements", data=given, files={"file": wide.getvalue()}).json()["error"]
    assert (error["code"], error["param"]) == ("invalid_value", "response_format")


def test_voices(heads_server: RunningServer, checkpoints: Path) -> None:
    verifier = sonant.load(checkpoints / "voices")
    path, files = "audio/speaker/verification", {"file": CALL, "reference": _call()}
    for channel in ("mix", "1"):
        answer = _post(heads_server, path, data={"model": "voices", "channel": channel}, files=files).json()
        assert answer["score"] == pytest.approx(1.0, abs=1e-5)
    files["reference"] = MONO
    answer = _post(heads_server, path, data={"model": "voices", "channel": "0"}, files=files).json()
    assert answer["score"] == pytest.approx(verifier.verify(CALL, MONO, channel=0).score, abs=1e-5)
    answer = _post(heads_server, path, data={"model": "voices", "channel": "all"}, files=files)
    assert answer.json()["error"]["param"] == "channel"

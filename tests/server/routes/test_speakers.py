"""Verification and diarization: what `verify` and `diarize` say, in forms and in JSON."""

import base64
from pathlib import Path
from typing import Any

import httpx2
import pytest

import sonant
from tests.server.running import RunningServer
from tests.server.speech import clip

ONE, SAME, OTHER = clip("en-allison-welcome", 1.0), clip("es-allison-away", 1.0), clip("it-carlo-busy", 1.0)


def _ask(server: RunningServer, path: str, **how: Any) -> httpx2.Response:
    return httpx2.post(
        f"{server.base_url}/v1/audio/{path}", headers={"Authorization": f"Bearer {server.user_key}"}, **how
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("other", [SAME, OTHER], ids=["same", "other"])
def test_verification(heads_server: RunningServer, checkpoints: Path, other: bytes) -> None:
    expected = sonant.load(checkpoints / "voices").verify(ONE, other)
    by_form = _ask(
        heads_server, "speaker/verification", data={"model": "voices"}, files={"file": ONE, "reference": other}
    ).json()
    by_json = _ask(
        heads_server,
        "speaker/verification",
        json={"model": "voices", "input": {"audio": _text(ONE)}, "reference": f"data:;base64,{_text(other)}"},
    ).json()
    assert by_form == by_json
    assert by_form["score"] == pytest.approx(expected.score, abs=1e-5)
    assert by_form["threshold"] is by_form["same_speaker"] is None  # no one has calibrated these weights
    assert by_form["basis"] == expected.basis
    assert by_form["usage"]["seconds"] == 2.0


def test_the_threshold_is_that_of_the_calibration(heads_server: RunningServer) -> None:
    body = {"model": "sonant/wavlm-tiny", "input": _text(ONE), "reference": _text(ONE)}
    answer = _ask(heads_server, "speaker/verification", json=body).json()
    assert answer["score"] == pytest.approx(1.0)
    expected = sonant.load("sonant/wavlm-tiny").verify(ONE, ONE)
    assert (answer["threshold"], answer["same_speaker"]) == (expected.threshold, True)
    assert answer["probability"] == pytest.approx(expected.probability)
    answer = _ask(heads_server, "speaker/verification", json={**body, "threshold": 0.5}).json()
    assert (answer["threshold"], answer["same_speaker"]) == (0.5, True)


def test_verification_takes_two(heads_server: RunningServer) -> None:
    path, model = "speaker/verification", {"model": "voices"}
    for given, param in (
        ({"data": model, "files": {"file": ONE}}, "reference"),
        ({"data": model, "files": {"reference": ONE}}, "file"),
        ({"json": {**model, "input": [_text(ONE), _text(ONE)], "reference": _text(ONE)}}, "file"),
        ({"data": model, "files": {"file": b"no audio", "reference": ONE}}, "file"),
        ({"data": model, "files": {"file": ONE, "reference": b"no audio"}}, "reference"),
        ({"data": model, "files": {"file": ONE, "reference": clip("it-carlo-busy", 0.05)}}, "reference"),
    ):
        response = _ask(heads_server, path, **given)
        assert response.status_code == 400
        assert response.json()["error"]["param"] == param


def test_diarization(heads_server: RunningServer, checkpoints: Path) -> None:
    turns = sonant.load(checkpoints / "diarizer").diarize(ONE)
    answer = _ask(heads_server, "diarizations", data={"model": "diarizer"}, files={"file": ONE}).json()
    told = [(segment["start"], segment["end"], segment["speaker"]) for segment in answer["segments"]]
    assert told == [(round(turn.start_seconds, 3), round(turn.end_seconds, 3), turn.speaker) for turn in turns]
    assert answer["num_speakers"] == len({turn.speaker for turn in turns})
    assert answer["duration"] == 1.0


def test_diarization_as_rttm(heads_server: RunningServer, checkpoints: Path) -> None:
    turns = sonant.load(checkpoints / "diarizer").diarize(ONE, num_speakers=1)
    form = {"model": "diarizer", "response_format": "rttm", "num_speakers": "1"}
    lines = _ask(heads_server, "diarizations", data=form, files={"file": ONE}).text.splitlines()
    assert [line.split()[7] for line in lines] == [turn.speaker for turn in turns]
    assert all(line.startswith("SPEAKER ") for line in lines)


def test_diarization_by_a_model_without_a_head_wants_the_number(heads_server: RunningServer) -> None:
    recording, form = clip("en-allison-welcome", 5.0), {"model": "sonant/wavlm-tiny"}
    refused = _ask(heads_server, "diarizations", data=form, files={"file": recording})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "num_speakers"
    answer = _ask(heads_server, "diarizations", data={**form, "num_speakers": "2"}, files={"file": recording}).json()
    turns = sonant.load("sonant/wavlm-tiny").diarize(recording, num_speakers=2)
    told = [(segment["start"], segment["end"], segment["speaker"]) for segment in answer["segments"]]
    assert told == [(round(turn.start_seconds, 3), round(turn.end_seconds, 3), turn.speaker) for turn in turns]


def test_bad_number_of_speakers(heads_server: RunningServer) -> None:
    for number in ("0", "many", "65"):
        form = {"model": "diarizer", "num_speakers": number}
        response = _ask(heads_server, "diarizations", data=form, files={"file": ONE})
        assert response.status_code == 400
        assert response.json()["error"]["param"] == "num_speakers"

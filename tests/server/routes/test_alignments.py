"""Alignment over HTTP: the times that `align` gives, in every format, of long texts too; charged, and refused."""

import base64
from pathlib import Path
from typing import Any

import httpx2
import pytest

import sonant
from tests.server.running import RunningServer
from tests.server.speech import clip

ONE = clip("en-allison-welcome", 2.0)
pytestmark = pytest.mark.filterwarnings("ignore::sonant.errors.AudioWarning")


def ask(server: RunningServer, key: str | None = None, **how: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {key or server.user_key}"}
    return httpx2.post(f"{server.base_url}/v1/audio/alignments", headers=headers, timeout=60, **how)


def body(**more: Any) -> dict[str, Any]:
    return {"model": "recognizer", "file": base64.b64encode(ONE).decode(), "text": "Hi,\nyou there!"} | more


def test_times_are_those_of_python(heads_server: RunningServer, checkpoints: Path) -> None:
    expected = sonant.align(ONE, "Hi,\nyou there!", model=checkpoints / "recognizer")
    found = ask(heads_server, json=body(granularity="character")).json()
    assert [(one["text"], one["start"], one["end"]) for one in found["words"]] == [
        (word.text, pytest.approx(word.start_seconds, abs=1e-3), pytest.approx(word.end_seconds, abs=1e-3))
        for word in expected.words
    ]
    assert [one["text"] for one in found["segments"]] == ["Hi,", "you there!"]
    assert "".join(one["text"] for one in found["characters"]) == "HIYOUTHERE"
    assert (found["text"], found["is_match"]) == (expected.text, expected.is_match)
    assert found["usage"]["seconds"] == 2.0
    form = ask(heads_server, data={"model": "recognizer", "text": "Hi,\nyou there!"}, files={"file": ONE}).json()
    assert form["words"] == found["words"]
    assert "characters" not in form


def test_formats_are_those_of_files(heads_server: RunningServer) -> None:
    for kind, beginning in (
        ("textgrid", 'File type = "ooTextFile"'),
        ("ctm", "audio 1 "),
        ("srt", "1\n00:00:0"),
        ("vtt", "WEBVTT"),
    ):
        assert ask(heads_server, json=body(response_format=kind)).text.startswith(beginning)


def test_what_does_not_fit_is_refused(heads_server: RunningServer) -> None:
    for more, code, param in (
        ({"text": None}, "missing_parameter", "text"),
        ({"text": 7}, "invalid_value", "text"),
        ({"text": "..."}, "unalignable_text", None),
        ({"text": "1984"}, "unalignable_text", None),
        ({"text": "word " * 100}, "unalignable_text", None),
        ({"text": "word " * 4_000}, "unalignable_text", None),  # longer than the texts of other parameters
        ({"text": "word\u0007 " * 4_000}, "invalid_value", "text"),
        ({"granularity": "phone"}, "invalid_value", "granularity"),
        ({"model": "emotions"}, "unsupported_ability", "model"),
    ):
        answer = ask(heads_server, json=body(**more))
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, code), more
        assert param in (None, error["param"])
    key = heads_server.new_key("no-alignments@example.org", scopes=["embeddings"])
    assert ask(heads_server, key, json=body()).status_code == 403

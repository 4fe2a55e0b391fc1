"""Numbers that are not finite: every endpoint answers an error with a code, and charges nothing."""

import base64
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import torch

import sonant
from sonant.decoding.results import SpeakerTurn, Transcript, Word
from sonant.errors import NonFiniteStates
from sonant.extraction.voice_samples import VoiceSample
from sonant.server.routes.finite_json import finite_json
from sonant.server.settings import ServerSettings
from tests.heads import write_ctc, write_masks
from tests.server.running import RunningServer, running
from tests.server.speech import clip

WAV = clip("en-allison-welcome", 1.0)
NAN = float("nan")


def all_heads(folder: Path) -> Path:
    """A model with a head for whatever `ask_everything` asks for."""
    encoder = sonant.load(write_ctc(folder))
    for kind in ("enhancement", "separation"):
        masks = write_masks(folder.parent / f"with_{kind}", kind=kind, config=encoder.model.config)
        encoder._heads.replace(kind, sonant.load(masks)._heads.stored[kind])
    encoder.save_pretrained(folder)
    return folder


def ask_everything(server: RunningServer, model: str) -> list[httpx2.Response]:
    """Requests to every endpoint, in each of the formats that are made in a way of their own."""
    text = base64.b64encode(WAV).decode()
    by_json: list[tuple[str, dict[str, Any]]] = [
        ("embeddings", {"input": text}),
        ("embeddings", {"input": text, "encoding_format": "base64"}),
        ("embeddings", {"input": text, "encoding_format": "float", "output": "frames"}),
        ("audio/diarizations", {"file": text, "num_speakers": 2}),
        (
            "audio/transcriptions",
            {"file": text, "response_format": "verbose_json", "timestamp_granularities": ["word"]},
        ),
        ("audio/speaker/verification", {"input": text, "reference": text}),
        *(("audio/enhancements", {"file": text, "response_format": name}) for name in ("wav", "flac", "json")),
        ("audio/separations", {"file": text}),
    ]
    headers = {"Authorization": f"Bearer {server.user_key}"}
    return [
        httpx2.post(f"{server.base_url}/v1/{path}", headers=headers, timeout=120, json={"model": model, **body})
        for path, body in by_json
    ]


def credit(server: RunningServer) -> Any:
    return server.run(server.services.accounts.credit.of(server.user_id))


def test_weights_that_hold_nan_are_named_and_nothing_is_charged(tmp_path: Path) -> None:
    encoder = sonant.load(all_heads(tmp_path / "sound"))
    encoder.model.encoder.layers[0].attention.value.weight.data[0, 0] = torch.nan
    encoder.save_pretrained(tmp_path / "spoilt")
    with running(ServerSettings(data=tmp_path / "data", models=(str(tmp_path / "spoilt"),))) as server:
        before = credit(server)
        answers = ask_everything(server, "spoilt")
        assert credit(server) == before
    for answer in answers:
        assert answer.status_code == 500, answer.text
        error = answer.json()["error"]
        assert (error["code"], error["type"]) == ("non_finite_states", "server_error")
        assert "encoder.layers.0.attention.value.weight" in error["message"]


def test_whatever_a_model_answers_is_finite_or_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    word = Word("a", 0.0, NAN, 0.5)
    answers: dict[str, Any] = {
        "encode": [np.full((1, 3, 4), np.inf, np.float32)],
        "voice_samples": [VoiceSample(np.array([1.0, np.nan], np.float32), 3.0, None)] * 2,
        "transcribe": [Transcript("a", (word,), 1.0, 0.5)],
        "diarize": [[SpeakerTurn("speaker_0", 0.0, float("inf"))]],
        "enhance": [np.array([0.0, NAN], np.float32)],
        "separate": [np.array([[0.0, np.inf]] * 2, np.float32)],
    }
    all_heads(tmp_path / "sound")
    with running(ServerSettings(data=tmp_path / "data", models=(str(tmp_path / "sound"),))) as server:
        model, before = server.services.models.get("sound"), credit(server)
        for name, answer in answers.items():

            async def method(*_: Any, answer: Any = answer, **__: Any) -> Any:
                return answer

            monkeypatch.setattr(model, name, method)
        for told in ask_everything(server, "sound"):
            assert (told.status_code, told.json()["error"]["code"]) == (500, "non_finite_states"), told.text
        assert credit(server) == before
        monkeypatch.undo()
        assert all(told.status_code == 200 for told in ask_everything(server, "sound"))
        assert credit(server) < before


def test_the_place_is_named() -> None:
    with pytest.raises(NonFiniteStates, match=r"segments\[1\]\.end is not finite"):
        finite_json({"segments": [{"end": 1.0}, {"end": -float("inf")}]})
    assert finite_json({"a": [0.1, None, True, "NaN", 2**60]}).startswith(b'{"a":[0.1,null,true,')

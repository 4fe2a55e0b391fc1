"""A model whose weights hold NaN: every endpoint answers an error with a code, never numbers that are none."""

import base64
from pathlib import Path

import httpx2
import torch

import sonant
from sonant.server.settings import ServerSettings
from tests.heads import write_ctc
from tests.server.running import running
from tests.server.speech import clip

WAV = clip("en-allison-welcome", 1.0)


def test_every_endpoint_names_it(tmp_path: Path) -> None:
    encoder = sonant.load(write_ctc(tmp_path / "sound"))
    encoder.model.encoder.layers[0].attention.value.weight.data[0, 0] = torch.nan
    encoder.save_pretrained(tmp_path / "spoilt")
    text = base64.b64encode(WAV).decode()
    by_json = {"embeddings": {"input": text}, "audio/diarizations": {"file": text, "num_speakers": 2}}
    by_form = ("audio/transcriptions", "audio/speaker/verification")
    with running(ServerSettings(data=tmp_path / "data", models=(str(tmp_path / "spoilt"),))) as server:
        headers = {"Authorization": f"Bearer {server.user_key}"}
        answers = [
            httpx2.post(f"{server.base_url}/v1/{path}", headers=headers, timeout=120, json={"model": "spoilt", **body})
            for path, body in by_json.items()
        ] + [
            httpx2.post(
                f"{server.base_url}/v1/{path}",
                headers=headers,
                timeout=120,
                data={"model": "spoilt"},
                files={"file": WAV, "reference": WAV} if "verification" in path else {"file": WAV},
            )
            for path in by_form
        ]
    for answer in answers:
        assert answer.status_code == 500, answer.text
        error = answer.json()["error"]
        assert (error["code"], error["type"]) == ("non_finite_states", "server_error")
        assert "encoder.layers.0.attention.value.weight" in error["message"]

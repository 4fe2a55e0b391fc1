"""The requests that LangChain and LiteLLM send, as they were recorded; docs/clients.md runs the packages themselves."""

import base64
from typing import Any

import httpx2
import pytest

from tests.server.running import RunningServer
from tests.server.speech import clip

WAV = clip("en-allison-welcome", 1.0)
URI = "data:audio/wav;base64," + base64.b64encode(WAV).decode()


def post(server: RunningServer, path: str, **how: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {server.user_key}", "Accept-Encoding": "gzip, deflate, zstd"}
    return httpx2.post(f"{server.base_url}/v1/{path}", headers=headers, timeout=60, **how)


def test_langchain_sends_texts_and_reads_base64(server: RunningServer) -> None:
    """langchain-openai 1.7 with check_embedding_ctx_length=False."""
    body = {"input": [URI, URI], "model": "sonant/wavlm-tiny", "encoding_format": "base64"}
    data = post(server, "embeddings", json=body).json()["data"]
    assert [len(base64.b64decode(item["embedding"])) for item in data] == [4 * 256] * 2


def test_the_tokens_of_langchain_are_refused_with_the_cure(server: RunningServer) -> None:
    """langchain-openai 1.7 without it: the numbers of tokens of the text."""
    body = {"input": [[3943, 25, 14623, 15131]], "model": "sonant/wavlm-tiny", "encoding_format": "base64"}
    refused = post(server, "embeddings", json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_input")
    assert "check_embedding_ctx_length=False" in refused.json()["error"]["message"]


def test_litellm_sends_no_format_and_reads_numbers(server: RunningServer) -> None:
    """LiteLLM 1.108."""
    answer = post(server, "embeddings", json={"input": [URI], "model": "sonant/wavlm-tiny"}).json()
    assert len(answer["data"][0]["embedding"]) == 256
    assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] > 0


@pytest.mark.parametrize("stream", [{}, {"stream": "true"}])
@pytest.mark.parametrize("form", [{"response_format": "verbose_json"}, {"response_format": "json"}])
def test_litellm_reads_one_object(heads_server: RunningServer, form: dict[str, str], stream: dict[str, str]) -> None:
    """LiteLLM 1.108: `verbose_json` unless told otherwise, also with stream=True, and then no events are understood."""
    data = {"model": "recognizer", **form, **stream}
    answer = post(heads_server, "audio/transcriptions", data=data, files={"file": ("speech.wav", WAV, "audio/x-wav")})
    assert answer.status_code == 200
    if form["response_format"] == "json" and stream:
        assert answer.headers["content-type"].startswith("text/event-stream")
        return
    body = answer.json()
    assert body["text"]
    assert body["usage"]["type"] == "duration"
    if form["response_format"] == "verbose_json":
        assert body["duration"] == 1.0
        assert ("x-parameter-warning" in answer.headers) == bool(stream)

"""Vectors by the real `openai` client: every form of input, every parameter, and the very numbers of `encode`."""

import asyncio
import base64
from typing import Any

import httpx2
import numpy as np
import openai
import pytest
from openai.types import CreateEmbeddingResponse

import sonant
from tests.server.running import RunningServer
from tests.server.speech import clip

MODEL = "sonant/wavlm-tiny"
DATA = [clip("en-allison-welcome", 0.9), clip("fr-june-busy", 0.5), clip("it-carlo-busy", 0.7)]
TEXTS = [base64.b64encode(data).decode() for data in DATA]
URI = f"data:audio/wav;base64,{TEXTS[0]}"


@pytest.fixture(scope="module")
def encoder() -> sonant.SpeechEncoder:
    return sonant.load(MODEL)


@pytest.fixture(scope="module")
def client(server: RunningServer) -> openai.OpenAI:
    return server.client()


@pytest.fixture(scope="module")
def vectors(encoder: sonant.SpeechEncoder) -> np.ndarray:
    return np.stack(encoder.encode(DATA, pool="mean"))


def _vectors(response: CreateEmbeddingResponse) -> np.ndarray:
    assert [item.index for item in response.data] == list(range(len(response.data)))
    return np.array([item.embedding for item in response.data], dtype=np.float32)


def _create(client: openai.OpenAI, given: Any, **how: Any) -> CreateEmbeddingResponse:
    return client.embeddings.create(model=MODEL, input=given, **how)


@pytest.mark.parametrize(
    "given",
    [
        URI,
        TEXTS[0],
        [TEXTS[0]],
        [{"type": "input_audio", "input_audio": {"data": TEXTS[0], "format": "wav"}}],
        [{"type": "audio_url", "audio_url": {"url": URI}}],
        [{"content": [{"type": "input_audio", "input_audio": {"data": TEXTS[0], "format": "wav"}}]}],
        [{"audio": URI}],
        {"audio": TEXTS[0]},
    ],
    ids=["data URI", "base64", "list", "input_audio", "audio_url", "content", "audio in a list", "audio"],
)
def test_every_form_gives_the_vector_of_encode(client: openai.OpenAI, vectors: np.ndarray, given: Any) -> None:
    np.testing.assert_allclose(_vectors(_create(client, given))[0], vectors[0], atol=2e-5)


def test_batch_equals_single_and_keeps_the_order(client: openai.OpenAI, vectors: np.ndarray) -> None:
    together = _vectors(_create(client, TEXTS))
    np.testing.assert_allclose(together, vectors, atol=2e-5)
    alone = np.concatenate([_vectors(_create(client, text)) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=2e-5)


def test_base64_says_what_float_says(client: openai.OpenAI) -> None:
    in_text = _create(client, URI, encoding_format="float")
    packed = client.embeddings.with_raw_response.create(model=MODEL, input=URI, encoding_format="base64")
    (item,) = packed.http_response.json()["data"]
    decoded = np.frombuffer(base64.b64decode(item["embedding"]), "<f4")
    assert np.array_equal(decoded, np.array(in_text.data[0].embedding, dtype=np.float32))
    assert item["shape"] == [256]


def test_a_tag_before_the_sound_changes_nothing(
    client: openai.OpenAI, server: RunningServer, vectors: np.ndarray
) -> None:
    size = 120_000
    tag = b"ID3\x03\0\0" + bytes(size >> 7 * place & 127 for place in (3, 2, 1, 0)) + bytes(size)
    sent = _create(client, base64.b64encode(tag + DATA[0]).decode())
    assert np.array_equal(_vectors(sent), _vectors(_create(client, TEXTS[0])))
    np.testing.assert_allclose(_vectors(sent)[0], vectors[0], atol=2e-5)
    answers = [
        httpx2.post(
            f"{server.base_url}/v1/embeddings",
            headers={"Authorization": f"Bearer {server.user_key}"},
            data={"model": MODEL},
            files={"file": data},
        ).json()
        for data in (tag + DATA[0], DATA[0])
    ]
    assert answers[0]["data"] == answers[1]["data"]


def test_usage_counts_frames_and_seconds(client: openai.OpenAI, encoder: sonant.SpeechEncoder) -> None:
    response = _create(client, TEXTS)
    frames = sum(len(states) for states in encoder.encode(DATA))
    usage = response.usage.model_dump()
    assert usage["prompt_tokens"] == usage["total_tokens"] == frames
    assert usage["audio_seconds"] == pytest.approx(frames / encoder.frame_rate, abs=0.1)
    assert float(usage["cost"]) == pytest.approx(0.01 / 3600 * usage["audio_seconds"], rel=1e-3)
    assert response.model == MODEL


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ({"layer": 0}, {"layer": 0, "pool": "mean"}),
        ({"layer": [2, "last"]}, {"layer": [2, "last"], "pool": "mean"}),
        ({"layer": "all", "pooling": "max"}, {"layer": "all", "pool": "max"}),
        ({"pooling": "mean+std"}, {"pool": "mean+std"}),
        ({"task": "speaker"}, {"task": "speaker"}),
        ({"task": "content"}, {"layer": 6, "pool": "mean"}),
        ({"task": "semantic", "layer": 1, "pooling": "max"}, {"layer": 1, "pool": "max"}),
        ({"normalize": True, "output": "utterance"}, {"pool": "mean", "normalize": True}),
        ({"output": "frames"}, {}),
        ({"pooling": "none"}, {}),
        ({"output": "frames", "layer": [1, 3]}, {"layer": [1, 3]}),
        ({"output": "frames", "task": "speaker"}, {"layer": 2}),
        ({"output": "frames", "layer": "all", "normalize": True}, {"layer": "all", "normalize": True}),
        ({"dimensions": 256, "user": "somebody"}, {"pool": "mean"}),
        ({"dimensions": 512, "pooling": "mean+std"}, {"pool": "mean+std"}),
    ],
    ids=str,
)
@pytest.mark.parametrize("encoding", [{}, {"encoding_format": "float"}], ids=["default", "float"])
def test_parameters_mean_what_encode_means(
    client: openai.OpenAI, encoder: sonant.SpeechEncoder, asked: dict[str, Any], meant: dict[str, Any], encoding: Any
) -> None:
    known = {name: asked[name] for name in ("dimensions", "user") if name in asked}
    response = client.embeddings.create(
        model=MODEL,
        input=URI,
        extra_body={name: value for name, value in asked.items() if name not in known},
        **known,
        **encoding,
    )
    expected = encoder.encode(DATA[0], **meant)
    (item,) = response.data
    told = np.array(item.embedding, dtype=np.float32).reshape(item.shape)  # type: ignore[attr-defined]
    assert told.shape == expected.shape
    np.testing.assert_allclose(told, expected, atol=2e-5 * max(1.0, float(np.abs(expected).max())))
    extra = response.model_extra or {}
    assert extra["pooling"] == ("none" if "pool" not in meant and "task" not in meant else meant.get("pool", "mean"))
    assert ("frame_rate" in (item.model_extra or {})) == (extra["pooling"] == "none")


def test_a_form_of_files(client: openai.OpenAI, vectors: np.ndarray) -> None:
    response = client.post(
        "/embeddings",
        body={"model": MODEL, "layer": ["last"], "normalize": False},
        files=[("file", ("a.wav", DATA[0])), ("file", ("b.wav", DATA[1])), ("input", ("c.wav", DATA[2]))],
        cast_to=CreateEmbeddingResponse,
        options={"headers": {"Content-Type": "multipart/form-data"}},
    )
    np.testing.assert_allclose(_vectors(response)[:, 0], vectors, atol=2e-5)


def test_a_form_with_text(server: RunningServer, vectors: np.ndarray) -> None:
    response = httpx2.post(
        f"{server.base_url}/v1/embeddings",
        headers={"Authorization": f"Bearer {server.user_key}"},
        data={"model": MODEL, "input": URI, "encoding_format": "float"},
        files=[("file[]", ("a.wav", DATA[1]))],
    )
    told = [item["embedding"] for item in response.json()["data"]]
    np.testing.assert_allclose(told, vectors[[1, 0]], atol=2e-5)


def test_the_client_told_to_send_a_form(client: openai.OpenAI, vectors: np.ndarray) -> None:
    response = _create(
        client,
        TEXTS[0],
        extra_body={"layer": [1, "last"]},
        extra_headers={"Content-Type": "multipart/form-data"},
    )
    np.testing.assert_allclose(np.reshape(response.data[0].embedding, (2, -1))[1], vectors[0], atol=2e-5)


def test_json_labeled_as_a_form(server: RunningServer) -> None:
    response = httpx2.post(
        f"{server.base_url}/v1/embeddings",
        headers={"Authorization": f"Bearer {server.user_key}", "Content-Type": "multipart/form-data"},
        content=b'{"model": "m", "input": "AAAA"}',
    )
    assert response.status_code == 400
    assert "boundary" in response.json()["error"]["message"]
    assert response.headers["x-request-id"]


def test_async_client(server: RunningServer, vectors: np.ndarray) -> None:
    async def ask() -> list[CreateEmbeddingResponse]:
        async with openai.AsyncOpenAI(base_url=f"{server.base_url}/v1", api_key=server.user_key) as client:
            return await asyncio.gather(*(client.embeddings.create(model=MODEL, input=text) for text in TEXTS))

    told = np.concatenate([_vectors(response) for response in asyncio.run(ask())])
    np.testing.assert_allclose(told, vectors, atol=2e-5)


@pytest.mark.parametrize(
    ("given", "how", "param", "told"),
    [
        (DATA[0][:50], {}, "input", "b64encode"),
        ([], {}, "input", "empty list"),
        ("", {}, "input", "empty"),
        ([TEXTS[0], base64.b64encode(b"not audio at all" * 9).decode()], {}, "input[1]", "audio"),
        ([TEXTS[0], "https://example.org/a.wav"], {}, "input[1]", "address"),
        (URI, {"dimensions": 128}, "dimensions", "Matryoshka"),
        (URI, {"extra_body": {"poling": "max"}}, "poling", "pooling"),
        (URI, {"extra_body": {"layer": 9}}, "layer", "layer"),
        (URI, {"extra_body": {"layer": [1, 2, 1]}}, "layer", "more than once"),
        (URI, {"extra_body": {"layer": [1] * 101}}, "layer", "at most 100"),
        (URI, {"extra_body": {"output": "frames", "pooling": "mean"}}, "pooling", "output"),
        (URI, {"extra_body": {"output": "utterance", "pooling": "none"}}, "pooling", "output"),
    ],
    ids=[
        "bytes",
        "no inputs",
        "no text",
        "no audio",
        "address",
        "dimensions",
        "slip",
        "layer",
        "repeated",
        "many",
        "frames",
        "pool",
    ],
)
def test_bad_requests(client: openai.OpenAI, given: Any, how: dict[str, Any], param: str | None, told: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        _create(client, given, **how)
    error = caught.value
    assert (error.type, error.param) == ("invalid_request_error", param)
    assert isinstance(error.code, str)
    assert told in error.message
    assert error.request_id


def test_unknown_model(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.embeddings.create(model="nobody/nothing", input=URI)
    assert caught.value.code == "model_not_found"


def test_unknown_key(server: RunningServer) -> None:
    client = server.client("sk-sonant-wrong")
    with pytest.raises(openai.AuthenticationError) as caught:
        _create(client, URI)
    assert caught.value.code == "invalid_api_key"


def test_a_key_without_the_scope(server: RunningServer) -> None:
    key = server.new_key("models-only@example.org", scopes=["models"])
    client = server.client(key)
    with pytest.raises(openai.PermissionDeniedError) as caught:
        _create(client, URI)
    assert caught.value.code == "insufficient_scope"


def test_too_many_requests(server: RunningServer) -> None:
    key = server.new_key("busy@example.org", requests_per_minute=1)
    client = server.client(key)
    _create(client, URI)
    with pytest.raises(openai.RateLimitError) as caught:
        _create(client, URI)
    assert caught.value.code == "rate_limit_exceeded"
    assert 1 <= int(caught.value.response.headers["Retry-After"]) <= 60


def test_credit_pays_for_what_was_served(server: RunningServer) -> None:
    before = server.run(server.services.accounts.credit.of(server.user_id))
    client = server.client()
    cost = _create(client, URI).usage.model_dump()["cost"]
    with pytest.raises(openai.BadRequestError):
        _create(client, [URI, "AAAA"])
    after = server.run(server.services.accounts.credit.of(server.user_id))
    assert str(before - after).rstrip("0") == cost.rstrip("0")


def test_no_credit(server: RunningServer) -> None:
    key = server.new_key("penniless@example.org", credit=0)  # type: ignore[arg-type]
    client = server.client(key)
    with pytest.raises(openai.APIStatusError) as caught:
        _create(client, URI)
    assert (caught.value.status_code, caught.value.code) == (402, "insufficient_credit")

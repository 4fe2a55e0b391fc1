"""The list of models, as OpenAI's clients read it."""

import base64

import httpx2
import openai
import pytest

from sonant.server.hosting.recent_requests import MOST
from tests.server.running import RunningServer
from tests.server.speech import clip

MODEL = "sonant/wavlm-tiny"


@pytest.fixture(scope="module")
def client(server: RunningServer) -> openai.OpenAI:
    return server.client()


def test_list(client: openai.OpenAI) -> None:
    (model,) = client.models.list().data
    assert (model.id, model.object, model.owned_by) == ("sonant/wavlm-tiny", "model", "sonant")
    extra = model.model_extra or {}
    assert extra["state"] == "live"
    assert extra["specs"]["dim"] == 256
    assert extra["price"]["per_audio_hour"] == "0.01"


def test_one(client: openai.OpenAI, server: RunningServer) -> None:
    (listed,) = client.models.list().data
    for written in ("sonant/wavlm-tiny", "sonant%2Fwavlm-tiny", "sonant%2fwavlm-tiny"):
        response = httpx2.get(
            f"{server.base_url}/v1/models/{written}", headers={"Authorization": f"Bearer {server.user_key}"}
        )
        assert response.json()["id"] == listed.id
    assert client.models.retrieve("sonant/wavlm-tiny").created == listed.created


def test_recent_requests_are_told(client: openai.OpenAI, server: RunningServer) -> None:
    before = server.services.models.slot(MODEL).recent.figures
    client.embeddings.create(model=MODEL, input=base64.b64encode(clip("en-allison-busy", 0.5)).decode())
    with pytest.raises(openai.BadRequestError):  # the caller's: not counted
        client.embeddings.create(model=MODEL, input="AAAA")
    recent = client.models.retrieve(MODEL).model_extra["recent"]  # type: ignore[index]
    assert recent["requests"] == min(MOST, (before.requests if before else 0) + 1)
    assert 0 < recent["median_seconds"] <= recent["p95_seconds"]


@pytest.mark.parametrize("model", ["microsoft/wavlm-large", "nobody/nothing", "../admin"])
def test_not_here(client: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve(model)
    assert isinstance(caught.value.code, str)

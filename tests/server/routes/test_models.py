"""The list of models, as OpenAI's clients read it."""

import httpx2
import openai
import pytest

from tests.server.running import RunningServer


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


@pytest.mark.parametrize("model", ["microsoft/wavlm-large", "nobody/nothing", "../admin"])
def test_not_here(client: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve(model)
    assert isinstance(caught.value.code, str)

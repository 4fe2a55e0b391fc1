"""The playground's page: what it tells its scripts, and whom it lets call."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from sonant.models.families import presets
from sonant.server.web.pages import STATIC
from sonant.server.web.playground import EXAMPLES
from tests.server.running import RunningServer


def facts(text: str) -> dict[str, Any]:
    """What the page hands to its scripts."""
    found: dict[str, Any] = json.loads(text.split('id="playground-data">')[1].split("</script>", maxsplit=1)[0])
    return found


def test_scripts_are_told_what_is_true(member: Callable[[str], httpx2.Client], server: RunningServer) -> None:
    told = facts(member("told@example.org").get("/playground").text)
    (model,) = server.services.models.served()
    assert told["model"]["id"] == model.id
    assert (told["model"]["num_layers"], told["model"]["dim"]) == (model.num_layers, model.dim)
    expected = {task: preset.layer for task, preset in presets(model.encoder.model.config).items()}
    assert {task["name"]: task["layer"] for task in told["model"]["tasks"]} == expected
    assert told["may_call"] is told["is_charged"] is True
    assert told["csrf_token"]


def test_who_is_not_signed_in_is_told_so(visitor: httpx2.Client) -> None:
    text = visitor.get("/playground").text
    assert facts(text)["may_call"] is False
    assert facts(text)["csrf_token"] is None
    assert "/sign-in?next=/playground" in text


def test_a_model_that_is_not_here(visitor: httpx2.Client) -> None:
    page = visitor.get("/playground?model=microsoft/wavlm-large&format=json").json()
    assert page["model"] is None
    assert "is not loaded here" in page["problem"]
    assert visitor.get("/playground?model=no/such-model").status_code == 404


def test_what_the_model_lacks_leads_to_models_that_have_it(visitor: httpx2.Client) -> None:
    assert 'href="/?task=transcription"' in visitor.get("/playground").text
    found = visitor.get("/?task=transcription&format=json").json()
    assert 0 < found["found"] < found["total"]
    assert all("transcription" in model["abilities"] for model in found["models"])


def test_a_hostile_name_stays_text(odd_server: RunningServer) -> None:
    hostile = next(model.id for model in odd_server.services.models.served() if "<b>" in model.id)
    answer = httpx2.get(f"{odd_server.base_url}/playground", params={"model": hostile}, headers={"Accept": "text/html"})
    assert facts(answer.text)["model"]["id"] == hostile
    assert "<b>voice" not in answer.text


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.file)
def test_examples_are_credited(visitor: httpx2.Client, example: Any) -> None:
    assert visitor.get(example.address).status_code == 200
    assert example.credit in visitor.get("/playground").text
    assert f"`{example.file}`" in (STATIC / "speech" / "README.md").read_text(encoding="utf-8")

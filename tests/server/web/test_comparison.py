"""Models side by side."""

import html as entities

import httpx2
import pytest

from sonant.models.catalog import CATALOG
from sonant.models.published_results import higher_is_better
from sonant.server.web.comparison import MOST, address_of, compared
from tests.server.running import RunningServer
from tests.server.web.conftest import HOSTILE, HTML
from tests.server.web.html import Document

THREE = ["sonant/wavlm-tiny", "microsoft/wavlm-large", "facebook/hubert-large-ll60k"]


def test_side_by_side(visitor: httpx2.Client) -> None:
    page = visitor.get(address_of(THREE))
    data = visitor.get(address_of(THREE), headers={"Accept": "application/json"}).json()
    assert [model["id"] for model in data["models"]] == THREE
    document = Document(page.text)
    columns = [cell for cell in document.all("th") if cell["scope"] == "col"]
    assert len(columns) == len(THREE)
    for source in data["sources"]:
        assert source in entities.unescape(page.text)


def test_the_best_is_marked_in_words(visitor: httpx2.Client) -> None:
    page = visitor.get(address_of(THREE))
    lines = visitor.get(f"{address_of(THREE)}&format=json").json()["scores"]
    assert [text for _, text in Document(page.text).texts].count("best") == sum(len(line["best"]) for line in lines) > 5


def test_best_is_best() -> None:
    for line in compared(list(CATALOG)):
        values = {name: float(value) for name, value in line.values.items()}
        if line.best:
            wanted = (max if higher_is_better(line.metric) else min)(values.values())
            assert {name for name, value in values.items() if value == wanted} == set(line.best)
        else:
            assert len(set(values.values())) == 1


def test_forms_without_scripts_get_a_clean_address(visitor: httpx2.Client) -> None:
    response = visitor.get("/compare", params=[("models", THREE[0]), ("models", THREE[1]), ("models", THREE[0])])
    assert (response.status_code, response.headers["location"]) == (303, address_of(THREE[:2]))


def test_models_are_added_and_removed(visitor: httpx2.Client) -> None:
    document = Document(visitor.get(address_of(THREE)).text)
    removing = [link for link in document.all("a") if link.get("hx-target") == "#comparison"]
    assert [link["href"] for link in removing] == [
        address_of([other for other in THREE if other != name]) for name in THREE
    ]
    hidden = [box["value"] for box in document.all("input") if box.get("name") == "models"]
    assert hidden == THREE
    offered = {option["value"] for option in document.all("option")}
    assert offered == set(CATALOG) - set(THREE)
    full = Document(visitor.get(address_of(list(CATALOG)[:MOST])).text)
    assert not full.all("option")


def test_updates_are_parts_of_the_page(visitor: httpx2.Client) -> None:
    update = visitor.get(address_of(THREE), headers={"HX-Request": "true", "HX-Target": "comparison"})
    assert update.headers["hx-push-url"] == address_of(THREE)
    assert "<html" not in update.text
    assert "<table" in update.text


@pytest.mark.parametrize(
    ("models", "code"),
    [("nobody/nothing", "model_not_found"), (",".join(list(CATALOG)[: MOST + 1]), "too_many_models")],
)
def test_what_cannot_be_compared(visitor: httpx2.Client, models: str, code: str) -> None:
    response = visitor.get("/compare", params={"models": models, "format": "json"}, headers={"Accept": "*/*"})
    assert response.json()["error"]["code"] == code


def test_a_model_without_results(odd_server: RunningServer) -> None:
    page = httpx2.get(
        f"{odd_server.base_url}/compare", params={"models": f"{HOSTILE},broken,sonant/wavlm-tiny"}, headers=HTML
    )
    assert page.status_code == 200
    assert not Document(page.text).faults
    assert HOSTILE not in page.text

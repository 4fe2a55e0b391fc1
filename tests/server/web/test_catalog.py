"""The first page."""

import html as entities
import re

import httpx2
import pytest

from sonant.models.catalog import CATALOG
from sonant.server.web.filters import FIRST
from tests.server.running import RunningServer
from tests.server.web.conftest import HOSTILE, HTML
from tests.server.web.html import Document


def _ids(page: httpx2.Response) -> list[str]:
    """Of the models in a page, in its order."""
    boxes = [box["value"] for box in Document(page.text).all("input") if box.get("name") == "models"]
    return boxes


def test_every_card_is_listed(visitor: httpx2.Client) -> None:
    for path in ("/?show=all", "/?fmt=table&show=all"):
        page = visitor.get(path)
        assert sorted(_ids(page)) == sorted(CATALOG)
        assert f"{len(CATALOG)} models" in page.text


def test_the_first_page_is_short_and_leads_to_all(visitor: httpx2.Client) -> None:
    page, data = visitor.get("/"), visitor.get("/?format=json").json()
    shown = _ids(page)
    assert shown == [model["id"] for model in data["models"]][: 1 + FIRST]
    (link,) = [link for link in Document(page.text).links if link.startswith("/?show=all#")]
    whole = visitor.get(link)
    assert len(_ids(whole)) == data["found"] == len(CATALOG)
    anchored = whole.text.split(f'id="{link.partition("#")[2]}"')[1]
    assert anchored.index(_ids(whole)[len(shown)]) < 200  # the link leads to the first that was not shown
    assert "Show all" not in whole.text


def test_what_is_served_comes_first(visitor: httpx2.Client) -> None:
    assert _ids(visitor.get("/"))[0] == "sonant/wavlm-tiny"


@pytest.mark.parametrize(
    "query", ["family=hubert", "q=telephone", "size=huge&sort=largest", "task=diarization&fmt=table"]
)
def test_page_and_twin_agree(visitor: httpx2.Client, query: str) -> None:
    query += "&show=all"
    page, data = visitor.get(f"/?{query}"), visitor.get(f"/?{query}&format=json").json()
    assert _ids(page) == [model["id"] for model in data["models"]]
    assert data["found"] == len(data["models"]) > 0
    assert data["total"] == len(CATALOG)
    assert data["query"] == query


def test_without_scripts_the_form_is_enough(visitor: httpx2.Client) -> None:
    """What a browser sends of the untouched form finds all; of the chosen, what was chosen, and shows it."""
    form = Document(visitor.get("/").text)
    names = {control["name"] for control in [*form.all("select"), *form.all("input")] if "name" in control} - {
        "models",
        "csrf_token",
        "next",
    }
    sent = dict.fromkeys(names, "") | {"fmt": "cards", "show": "all"}
    assert len(_ids(visitor.get("/", params=sent))) == len(CATALOG)
    narrowed = visitor.get("/", params=sent | {"family": "wavlm", "q": "large"})
    assert _ids(narrowed) == ["microsoft/wavlm-large"]
    document = Document(narrowed.text)
    assert [option["value"] for option in document.all("option") if "selected" in option and option["value"]] == [
        "wavlm"
    ]
    assert next(control for control in document.all("input") if control.get("id") == "q")["value"] == "large"


def test_counts_of_filters_are_true(visitor: httpx2.Client) -> None:
    page = visitor.get("/").text
    counted = re.findall(r'<option value="(\w+)">([^<(]+) \((\d+)\)</option>', page)
    assert len(counted) > 10
    for value, label, count in counted:
        if label in {"WavLM", "HuBERT"}:
            assert visitor.get(f"/?family={value}&format=json").json()["found"] == int(count)


def test_updates_are_parts_of_the_page(visitor: httpx2.Client) -> None:
    """What htmx asks for comes without the frame, and with the address that the page then has."""
    headers = {"HX-Request": "true", "HX-Target": "models"}
    update = visitor.get("/?family=wavlm&q=&sort=&fmt=cards", headers=headers)
    assert update.headers["hx-push-url"] == "/?family=wavlm"
    assert "<html" not in update.text
    assert _ids(update) == _ids(visitor.get("/?family=wavlm"))
    assert not [fault for fault in Document(update.text).faults if "leads nowhere" not in fault]
    here = str(visitor.base_url).rstrip("/") + "/?family=wavlm"
    again = visitor.get(here, headers=headers | {"HX-Current-URL": here})
    assert "hx-push-url" not in again.headers  # once in the history is enough


@pytest.mark.parametrize("name", ["HX-Current-URL", "HX-Target", "Referer", "Accept", "Cookie"])
@pytest.mark.parametrize("value", [b"http://[", b"\xff", b"://", b"a=b;;=", b";q=,;"])
def test_odd_headers_do_no_harm(visitor: httpx2.Client, name: str, value: bytes) -> None:
    for path in ("/", "/compare?models=sonant/wavlm-tiny"):
        assert visitor.get(path, headers={"HX-Target": b"models", name: value}).status_code == 200


def test_what_is_asked_is_escaped(visitor: httpx2.Client) -> None:
    asked = '"><script>alert(1)</script>'
    page = visitor.get("/", params={"q": asked})
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert entities.escape(asked, quote=False) in page.text.replace("&#34;", '"')
    for path in (f"/?family={asked}", f"/models/{asked}", f"/compare?models={asked}", f"/nothing/{asked}?{asked}"):
        page = visitor.get(path)
        assert page.status_code in {400, 404}
        assert "<script>alert" not in page.text


def test_odd_models_are_listed(odd_server: RunningServer) -> None:
    page = httpx2.get(f"{odd_server.base_url}/?show=all", headers=HTML)
    assert not Document(page.text).faults
    assert HOSTILE not in page.text
    assert sorted(_ids(page)) == sorted([*CATALOG, HOSTILE, "broken"])
    data = httpx2.get(f"{odd_server.base_url}/?format=json").json()
    states = {model["id"]: model["state"] for model in data["models"]}
    assert states[HOSTILE] == states["sonant/wavlm-tiny"] == "live"
    assert states["broken"] == "error"
    assert [model["id"] for model in data["models"]][2] == "broken"  # what is served comes first


def test_soon_comes_what_was_promised_alone(odd_server: RunningServer, visitor: httpx2.Client) -> None:
    data = httpx2.get(f"{odd_server.base_url}/?format=json").json()
    states = {model["id"]: model["state"] for model in data["models"]}
    assert [name for name, state in states.items() if state == "coming_soon"] == ["microsoft/wavlm-large"]
    assert list(states)[3] == "microsoft/wavlm-large"  # behind what is served
    page = httpx2.get(f"{odd_server.base_url}/models/microsoft/wavlm-large", headers=HTML).text
    assert "Coming soon" in page
    assert "Not loaded here" not in page
    other = visitor.get("/models/microsoft/wavlm-large").text
    assert "Coming soon" not in other
    assert "Not loaded here" in other

"""Votes for models that are not served."""

from collections.abc import Callable

import httpx2

from tests.server.web.conftest import csrf_of
from tests.server.web.html import Document

MODEL = "facebook/wav2vec2-xls-r-2b"
PAGE = f"/models/{MODEL}"


def _votes(client: httpx2.Client) -> int:
    return client.get(f"{PAGE}?format=json").json()["model"]["votes"]


def test_voting_without_scripts(member: Callable[[str], httpx2.Client]) -> None:
    client = member("voter@example.org")
    before, token = _votes(client), csrf_of(client.get(PAGE).text)
    response = client.post("/votes", data={"want": MODEL, "csrf_token": token})
    assert (response.status_code, response.headers["location"]) == (303, PAGE)
    assert _votes(client) == before + 1
    listed = {"Referer": f"{str(client.base_url).rstrip('/')}/?q=large"}
    again = client.post("/votes", data={"want": MODEL, "csrf_token": token}, headers=listed)
    assert again.headers["location"] == "/?q=large"  # where the button was
    assert _votes(client) == before + 1  # once a person
    elsewhere = client.post(
        "/votes", data={"want": MODEL, "csrf_token": token}, headers={"Referer": "https://evil.example/"}
    )
    assert elsewhere.headers["location"] == PAGE
    (button,) = [each for each in Document(client.get(PAGE).text).all("button") if each.get("name") == "unwant"]
    assert (button["value"], button["aria-pressed"], button["form"]) == (MODEL, "true", "votes")
    client.post("/votes", data={"unwant": MODEL, "csrf_token": token})
    assert _votes(client) == before


def test_voting_in_place(member: Callable[[str], httpx2.Client]) -> None:
    client = member("in-place@example.org")
    token = csrf_of(client.get("/").text)
    update = client.post("/votes", data={"want": MODEL, "csrf_token": token}, headers={"HX-Request": "true"})
    assert update.status_code == 200
    assert "<html" not in update.text
    (button,) = Document(update.text).all("button")
    assert (button["id"], button["hx-swap-oob"], button["name"]) == (f"want:{MODEL}", "true", "unwant")
    ids = [attributes.get("id") for _, attributes in Document(client.get("/?show=all").text).tags]
    assert button["id"] in ids  # so that the page knows where it goes
    client.post("/votes", data={"unwant": MODEL, "csrf_token": token})


def test_programs_get_the_count(member: Callable[[str], httpx2.Client]) -> None:
    client = member("program@example.org")
    token = csrf_of(client.get("/").text)
    headers = {"Accept": "application/json", "X-CSRF-Token": token}
    assert client.post("/votes", data={"want": MODEL}, headers=headers).json() == {
        "model": MODEL,
        "votes": _votes(client),
        "is_yours": True,
    }
    client.post("/votes", data={"unwant": MODEL}, headers=headers)


def test_who_is_not_signed_in_is_led_there(visitor: httpx2.Client) -> None:
    document = Document(visitor.get(PAGE).text)
    assert f"/sign-in?next={PAGE}" in document.links
    assert visitor.post("/votes", data={"want": MODEL}).status_code == 401


def test_refused(member: Callable[[str], httpx2.Client]) -> None:
    client = member("refused@example.org")
    before, token = _votes(client), csrf_of(client.get("/").text)
    refused = {"want": MODEL, "csrf_token": "guessed"}
    assert client.post("/votes", data=refused).status_code == 403
    assert client.post("/votes", data={"want": MODEL}).status_code == 403
    assert _votes(client) == before
    live = client.post(
        "/votes", data={"want": "sonant/wavlm-tiny", "csrf_token": token}, headers={"Accept": "application/json"}
    )
    assert (live.status_code, live.json()["error"]["code"]) == (400, "already_served")
    unknown = client.post("/votes", data={"want": "nobody/nothing", "csrf_token": token})
    assert unknown.status_code == 404
    assert client.post("/votes", data={"csrf_token": token}).status_code == 404

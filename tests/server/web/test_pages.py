"""What holds for every page: well-formed, from this server alone, with a JSON twin, and within what browsers allow."""

import time
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from urllib.parse import urlsplit

import httpx2
import pytest

from sonant.server.web.pages import STATIC, local_path, static
from tests.server.running import RunningServer
from tests.server.web.conftest import HTML
from tests.server.web.html import Document

PAGES = [
    "/?show=all",
    "/?fmt=table&show=all",
    "/?q=hubert&size=large&sort=name",
    "/?q=nothing+like+this",
    "/models/sonant/wavlm-tiny",
    "/models/microsoft/wavlm-large",
    "/models/microsoft/wavlm-base-plus-sv",
    "/models/facebook/wav2vec2-base-960h",
    "/models/fairseq/bert_kmeans",
    "/models/facebook/w2v-bert-2.0",
    "/compare",
    "/compare?models=sonant/wavlm-tiny",
    "/compare?models=sonant/wavlm-tiny,microsoft/wavlm-large,facebook/w2v-bert-2.0,fairseq/wav2vec_large",
    "/reference",
    "/sign-in",
    "/forgotten-password",
    "/sign-up",
    "/nothing-here",
]


Fetch = Callable[[str], tuple[httpx2.Response, Document]]


@pytest.fixture(scope="module")
def fetch(server: RunningServer) -> Fetch:
    """A page as strangers see it, and what stands in it; fetched once."""

    @cache
    def fetched(path: str) -> tuple[httpx2.Response, Document]:
        response = httpx2.get(server.base_url + path, headers=HTML)
        return response, Document(response.text)

    return fetched


@pytest.mark.parametrize("path", PAGES)
def test_well_formed(fetch: Fetch, path: str) -> None:
    response, document = fetch(path)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert not document.faults
    assert document.all("html")[0]["lang"] == "en"
    assert [tag for tag, _ in document.tags].count("h1") == 1
    assert [tag for tag, _ in document.tags].count("main") == 1


@pytest.mark.parametrize("path", PAGES)
def test_headings_do_not_jump(fetch: Fetch, path: str) -> None:
    _, document = fetch(path)
    levels = [int(tag[1]) for tag, _ in document.tags if tag in {"h1", "h2", "h3", "h4", "h5", "h6"}]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels


@pytest.mark.parametrize("path", PAGES)
def test_accessible(fetch: Fetch, path: str) -> None:
    _, document = fetch(path)
    labeled = {attributes.get("for") for attributes in document.all("label")}
    for control in [*document.all("input"), *document.all("select"), *document.all("textarea")]:
        if control.get("type") != "hidden" and "aria-label" not in control and control.get("id") not in labeled:
            assert control.get("type") == "checkbox", control  # stands inside its label
    assert all("alt" in image for image in document.all("img"))
    assert len(document.all("caption")) == len(document.all("table"))
    assert all("scope" in cell for cell in document.all("th"))
    skip = next(link for link in document.all("a") if link.get("class") == "skip-link")
    assert any(attributes.get("id") == skip["href"][1:] for _, attributes in document.tags)


def test_nothing_is_loaded_from_elsewhere(fetch: Fetch, visitor: httpx2.Client) -> None:
    loaded = {address for path in PAGES for address in fetch(path)[1].loaded}
    assert len(loaded) > 3
    for address in loaded:
        assert not urlsplit(address).netloc, address
        assert visitor.get(address).status_code == 200, address


@pytest.mark.parametrize("path", PAGES)
def test_nothing_runs_or_colors_inline(fetch: Fetch, path: str) -> None:
    page, document = fetch(path)
    for tag, attributes in document.tags:
        assert tag != "style"
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        assert tag != "script" or attributes["src"]
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("path", PAGES)
def test_the_twin(fetch: Fetch, visitor: httpx2.Client, path: str) -> None:
    """The page names its twin, which holds the same as asking for JSON does; what the page shows is in it."""
    page, document = fetch(path)
    (alternate,) = [link for link in document.all("link") if link.get("rel") == "alternate"]
    data = visitor.get(alternate["href"])
    assert data.headers["content-type"] == "application/json"
    asked = visitor.get(path, headers={"Accept": "application/json"})
    assert asked.status_code == data.status_code == page.status_code
    if "error" not in data.json():
        assert _without_figures(data.json()) == _without_figures(asked.json())
        for model in data.json().get("models", []):
            assert model["id"] in page.text


def _without_figures(data: object) -> object:
    """All but what changes from moment to moment."""
    match data:
        case dict():
            return {key: _without_figures(value) for key, value in data.items() if key != "live" or value is not None}
        case list():
            return [_without_figures(value) for value in data]
    return data


def test_links_lead_somewhere(fetch: Fetch, visitor: httpx2.Client) -> None:
    links: set[str] = set()
    for path in ("/", "/models/microsoft/wavlm-large", "/compare?models=sonant/wavlm-tiny", "/reference"):
        _, document = fetch(path)
        ids = {attributes["id"] for _, attributes in document.tags if "id" in attributes}
        assert {link[1:] for link in document.links if link.startswith("#")} <= ids
        links |= {link for link in document.links if link.startswith("/") and not link.startswith("/models/")}
    assert "/playground?model=sonant/wavlm-tiny" in links
    for link in sorted(links):  # those to models have a test of their own
        assert visitor.get(link).status_code < 400, link


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("application/json", "application/json"),
        ("application/json;q=0.5,text/html", "text/html"),
        ("text/html;q=0.2, application/json", "application/json"),
        ("application/json;q=0", "text/html"),
        ("*/*", "text/html"),
        ("", "text/html"),
        ("application/json;q=much", "text/html"),
    ],
)
def test_who_asks_for_json_gets_it(visitor: httpx2.Client, accept: str, kind: str) -> None:
    assert visitor.get("/compare", headers={"Accept": accept}).headers["content-type"].startswith(kind)


@pytest.mark.parametrize("path", ["/nothing-here", "/models/nobody/nothing", "/?family=dogs", "/compare?models=nobody"])
def test_errors_are_pages_for_people_and_json_for_programs(visitor: httpx2.Client, path: str) -> None:
    page = visitor.get(path)
    assert page.status_code in {400, 404}
    assert "<h1>" in page.text
    for headers in ({"Accept": "application/json"}, {"Accept": "*/*"}):
        error = visitor.get(path, headers=headers)
        assert error.status_code == page.status_code
        assert error.json()["error"]["code"]
        assert error.json()["error"]["message"]


def test_what_went_wrong_inside_is_not_told(
    visitor: httpx2.Client, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("the secret")

    monkeypatch.setattr(server.services.models, "hosted", fail)
    for headers in (HTML, {"Accept": "application/json"}):
        response = visitor.get("/", headers=headers)
        assert response.status_code == 500
        assert "secret" not in response.text
        assert response.headers["content-security-policy"]
        assert response.headers["content-type"].startswith(headers["Accept"].partition(",")[0])


def test_the_api_answers_in_json_whoever_asks(visitor: httpx2.Client) -> None:
    assert visitor.get("/v1/models").json()["error"]["code"]
    assert visitor.get("/v1/nothing").json()["error"]["code"]


def test_security_headers(visitor: httpx2.Client) -> None:
    for path in ("/", "/health", "/static/style.css", "/nothing-here"):
        headers = visitor.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "microphone=(self)" in headers["permissions-policy"]
        assert headers["x-frame-options"] == "DENY"


def test_pages_with_names_in_them_are_not_kept_by_others(visitor: httpx2.Client) -> None:
    headers = visitor.get("/").headers
    assert "private" in headers["cache-control"]
    assert {"Cookie", "Accept", "HX-Request"} <= {name.strip() for name in headers["vary"].split(",")}


def test_static_files_are_kept_while_they_do_not_change(visitor: httpx2.Client) -> None:
    for name in ("style.css", "site.js", "htmx.min.js", "icon.svg"):
        kept = visitor.get(static(name))
        assert "immutable" in kept.headers["cache-control"]
        assert kept.content == (STATIC / name).read_bytes()
        assert visitor.get(f"/static/{name}").headers["cache-control"] == "no-cache"
        assert visitor.get(f"/static/{name}?v=older").headers["cache-control"] == "no-cache"
    assert visitor.get("/static/../pages.py").status_code == 404
    assert visitor.get("/static/%2e%2e/pages.py").status_code == 404


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/models/a/b?x=1", "/models/a/b?x=1"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nSet-Cookie: x=1", "/"),
        ("", "/"),
    ],
)
def test_going_on_stays_here(visitor: httpx2.Client, path: str, expected: str) -> None:
    assert local_path(path) == expected
    response = visitor.post("/theme", data={"theme": "dark", "next": path})
    assert (response.status_code, response.headers["location"]) == (303, expected)


def test_the_theme_is_kept(visitor: httpx2.Client) -> None:
    assert "data-theme" not in visitor.get("/").text
    visitor.post("/theme", data={"theme": "dark", "next": "/"})
    assert Document(visitor.get("/").text).all("html")[0]["data-theme"] == "dark"
    assert visitor.post("/theme", data={"theme": "pink"}).status_code == 400


def test_a_theme_that_is_none_is_ignored(server: RunningServer) -> None:
    page = httpx2.get(f"{server.base_url}/", headers=HTML | {"Cookie": 'theme="><script>alert(1)'})
    assert "data-theme" not in page.text
    assert "<script>alert" not in page.text


@pytest.mark.parametrize(
    ("path", "most"), [("/", 100_000), ("/?fmt=table", 100_000), ("/models/microsoft/wavlm-large", 40_000)]
)
def test_pages_are_small_and_fast(visitor: httpx2.Client, path: str, most: int) -> None:
    visitor.get(path)
    seconds = []
    for _ in range(10):
        began = time.process_time()  # of client and server; others may want the processor too
        page = visitor.get(path)
        seconds.append(time.process_time() - began)
    assert len(page.content) < most
    assert min(seconds) < 0.03

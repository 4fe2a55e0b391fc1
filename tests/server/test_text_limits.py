"""Whatever text or number arrives in whatever field of whatever page or endpoint, it is no error of ours."""

from collections.abc import Iterator
from urllib.parse import quote

import httpx2
import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from sonant.server.accounts.sessions import COOKIE
from sonant.server.errors import ApiError
from sonant.server.text_limits import TEXT_BYTES, check_charset, check_text
from tests.server.running import RunningServer

TEXTS = {
    "NUL": "a\0@example.org",
    "right to left": "\u202ea@example.org",
    "digits": "9" * 5000,
    "large": "1e999999999",
    "small": "1e-999999999",
    "name": "m" * 900,
    "home": "~nobody-has-this-name/model",
    "long": "é" * (TEXT_BYTES // 2 + 1),
}


def routes(server: RunningServer) -> Iterator[tuple[str, str, list[str]]]:
    """Method, path and fields of every route that takes any."""
    for route in iter_route_contexts(server.app.routes):
        if not isinstance(route.original_route, APIRoute) or route.path is None:
            continue
        parts = [route.dependant, *route.dependant.dependencies]
        query = [field.alias for part in parts for field in part.query_params]
        form = [field.alias for part in parts for field in part.body_params]
        if query or form or "{" in route.path:
            yield next(iter(route.methods)), route.path, [*query, *form]


@pytest.mark.slow
@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_no_text_is_an_error_of_ours(server: RunningServer, text: str) -> None:
    accounts = server.services.accounts
    user = server.run(accounts.users.create("hostile@example.org", is_admin=True, by="tests"))
    seen = 0
    with httpx2.Client(base_url=server.base_url, timeout=60) as client:
        for method, path, fields in routes(server):
            new = server.run(accounts.sessions.open(user.id, address=""))
            client.cookies.set(COOKIE, new.token)
            headers = {"X-CSRF-Token": new.session.csrf_token, "Accept": "text/html"}
            for place in {path.replace("{user_id}", str(user.id)), path}:
                address = "".join(
                    quote(text) if part.startswith("{") else part for part in place.replace("{", "}{").split("}")
                )
                named = fields[:1] if text == TEXTS["long"] else fields  # an address has its own limit
                sent = {"params" if method == "GET" else "data": dict.fromkeys(named, text)}
                response = client.request(method, address, headers=headers, **sent)
                assert response.status_code < 500, (method, address, response.text)
                seen += 1
    assert seen > 30
    server.run(accounts.users.delete(user.id, by="tests"))


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
@pytest.mark.parametrize("form", [False, True], ids=["JSON", "form"])
def test_nor_of_the_api(server: RunningServer, text: str, form: bool) -> None:
    given = {"model": text, "user": text, "layer": text, "dimensions": text, "input": text, text: text}
    sent = {"files": {name: (None, value) for name, value in given.items()}} if form else {"json": given}
    headers = {"Authorization": f"Bearer {server.user_key}"}
    response = httpx2.post(f"{server.base_url}/v1/embeddings", headers=headers, **sent)
    assert response.status_code == 400, response.text


@pytest.mark.parametrize("text", ["", "a", "é" * (TEXT_BYTES // 2), "line\r\n\tline", "\u200bש\U0001f600"])
def test_text(text: str) -> None:
    assert check_text(text, "reason") == text


@pytest.mark.parametrize("text", ["\0", "a\x07", "\x7f", "\x85", "\ud800", "é" * (TEXT_BYTES // 2) + "a"])
def test_what_is_no_text(text: str) -> None:
    with pytest.raises(ApiError) as caught:
        check_text(text, "reason\0" * 1000)
    assert caught.value.param is not None
    assert len(caught.value.message) < 300
    assert "\0" not in caught.value.message


def test_charsets() -> None:
    check_charset("application/json; charset=UTF-8")
    for charset in ("punycode", "utf-8; charset=utf-7"):
        with pytest.raises(ApiError, match="charset"):
            check_charset(f"application/json; charset={charset}")

"""The account's own pages: password, leaving, keys."""

import re
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from tests.server.running import RunningServer
from tests.server.web.conftest import csrf_of
from tests.server.web.test_signing_in import PASSWORD, sign_up

Member = Callable[[str], httpx2.Client]


def post(client: httpx2.Client, path: str, page: str = "/account", **fields: Any) -> httpx2.Response:
    """Send a form of a page, with its token."""
    return client.post(path, data={"csrf_token": csrf_of(client.get(page).text), **fields})


def make_key(client: httpx2.Client, **fields: Any) -> httpx2.Response:
    return post(client, "/account/keys", "/account/keys", **({"name": "laptop", "scopes": ["embeddings"]} | fields))


@pytest.mark.parametrize(
    "path",
    ["/account/password", "/account/sign-out-everywhere", "/account/delete", "/account/keys", "/account/keys/1/revoke"],
)
def test_changes_take_the_token(member: Member, path: str) -> None:
    client = member(f"token{path.replace('/', '-')}@example.org")
    for token in ({}, {"csrf_token": "guessed"}):
        response = client.post(path, data=token, headers={"Accept": "application/json"})
        assert (response.status_code, response.json()["error"]["code"]) == (403, "csrf_failed")


def test_new_password_ends_other_sessions(visitor: httpx2.Client, server: RunningServer) -> None:
    email = "password@example.org"
    sign_up(visitor, email)
    with httpx2.Client(base_url=server.base_url, headers=visitor.headers) as elsewhere:
        elsewhere.post("/sign-in", data={"email": email, "password": PASSWORD})
        assert elsewhere.get("/account").status_code == 200
        refused = post(visitor, "/account/password", old="wrong", new="another good password")
        assert refused.status_code == 401
        assert 'role="alert"' in refused.text
        assert post(visitor, "/account/password", old=PASSWORD, new="another good password").status_code == 303
        assert visitor.get("/account").status_code == 200
        assert elsewhere.get("/account").status_code == 303


def test_an_account_is_deleted_by_its_address_alone(member: Member, server: RunningServer) -> None:
    client = member("gone@example.org")
    users = server.services.accounts.users
    assert post(client, "/account/delete", email="other@example.org").status_code == 400
    assert server.run(users.find("gone@example.org")) is not None
    assert post(client, "/account/delete", email="Gone@Example.org ").status_code == 303
    assert server.run(users.find("gone@example.org")) is None


def test_credit_shows_who_gave_it(visitor: httpx2.Client, server: RunningServer) -> None:
    sign_up(visitor, "credited@example.org")
    user = server.run(server.services.accounts.users.find("credited@example.org"))
    assert user is not None
    server.run(server.services.accounts.credit.grant(user.id, Decimal(3), reason="prize", by="dean@example.org"))
    givers = re.findall(r'data-label="By" class="name">(.*?)<', visitor.get("/account").text)
    assert givers == ["dean@example.org", "this server"]


def test_a_key_is_shown_once(member: Member, server: RunningServer) -> None:
    client = member("once@example.org")
    made = make_key(client)
    assert made.headers["cache-control"] == "no-store"
    (key,) = server.run(
        server.services.accounts.keys.of(client.get("/account/keys?format=json").json()["keys"][0]["user_id"])
    )
    secret = made.text.split('id="secret">')[1].split("<")[0]
    assert secret.startswith(key.prefix)
    for path in ("/account/keys", "/account/keys?format=json"):
        assert secret not in client.get(path).text


def test_a_key_has_what_was_chosen(member: Member) -> None:
    client = member("chosen@example.org")
    fields = {"scopes": ["models", "embeddings"], "expires": "2099-12-31", "requests_per_minute": "7"}
    assert make_key(client, **fields).status_code == 200
    (key,) = client.get("/account/keys?format=json").json()["keys"]
    assert key["scopes"] == ["embeddings", "models"]
    assert key["requests_per_minute"] == 7
    assert time.gmtime(key["expires"])[:6] == (2099, 12, 31, 23, 59, 59)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"name": " "}, "name"),
        ({"expires": "tomorrow"}, "expires"),
        ({"expires": "2001-01-01"}, "expires"),
        ({"requests_per_minute": "-1"}, "requests_per_minute"),
        ({"audio_seconds_per_minute": "many"}, "audio_seconds_per_minute"),
        ({"requests_per_minute": "601"}, "requests_per_minute"),
        ({"audio_seconds_per_minute": "36001"}, "audio_seconds_per_minute"),
        ({"requests_per_minute": "9" * 5000}, "requests_per_minute"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["admin"]}, None),
        ({"scopes": ["everything"]}, "scopes.0"),
    ],
)
def test_a_key_that_does_not_fit_is_refused(member: Member, fields: dict[str, Any], param: str | None) -> None:
    client = member(f"fit{abs(hash(str(fields)))}@example.org")
    token = csrf_of(client.get("/account/keys").text)
    data = {"name": "laptop", "scopes": ["embeddings"], "csrf_token": token} | fields
    response = client.post("/account/keys", data=data, headers={"Accept": "application/json"})
    assert response.status_code in {400, 403}
    assert response.json()["error"]["param"] == param
    assert client.get("/account/keys?format=json").json()["keys"] == []


def test_nobody_revokes_a_strangers_key(member: Member, server: RunningServer) -> None:
    (theirs,) = server.run(server.services.accounts.keys.of(server.user_id))
    client = member("stranger@example.org")
    assert post(client, f"/account/keys/{theirs.id}/revoke", "/account/keys").status_code == 404
    assert theirs.state == "live"

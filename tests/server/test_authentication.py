"""Who may do what over HTTP: by key, by cookie, anonymously, and not at all."""

from dataclasses import replace
from typing import Any, Self

import pytest
from fastapi import Depends, FastAPI, Request
from starlette.responses import JSONResponse, Response
from starlette.testclient import TestClient

from sonant.server import errors
from sonant.server.accounts.accounts import Accounts
from sonant.server.accounts.caller import Caller
from sonant.server.accounts.keys import API_SCOPES, SCOPES
from sonant.server.accounts.sessions import COOKIE
from sonant.server.authentication import caller_with, refuse_cross_site, require_admin, session_for_change, signed_in
from sonant.server.metrics import Metrics
from sonant.server.operations.body_limits import BodyLimits
from sonant.server.services import Services
from sonant.server.settings import AccountRules, ServerSettings

PASSWORD = "four words in a row"
EMBEDDINGS = Depends(caller_with("embeddings"))


class Site(TestClient):
    """A small server with accounts, a browser's cookies, and a user, ada."""

    def __init__(self, settings: ServerSettings) -> None:
        self.accounts = Accounts(settings)
        app = FastAPI()
        nothing: Any = None
        app.state.services = Services(settings, nothing, nothing, nothing, self.accounts, Metrics())
        app.add_middleware(BodyLimits, services=app.state.services)
        errors.install(app)

        @app.get("/v1/x")
        @app.post("/v1/x")
        async def use(caller: Caller = EMBEDDINGS) -> Response:
            return JSONResponse({"name": caller.name, "share": caller.share, "is_admin": caller.is_admin})

        @app.post("/admin", dependencies=[Depends(require_admin)])
        async def administer() -> Response:
            return JSONResponse({})

        @app.post("/change", dependencies=[Depends(session_for_change)])
        async def change(request: Request) -> Response:
            return JSONResponse({"fields": sorted(await request.form())})

        @app.post("/sign-in", dependencies=[Depends(refuse_cross_site)])
        async def sign_in(request: Request) -> Response:
            new = await self.accounts.sessions.sign_in("ada@example.org", PASSWORD, address="")
            response = JSONResponse({"csrf": new.session.csrf_token})
            self.accounts.sessions.set_cookies(response, request, new)
            return response

        @app.get("/who")
        async def who(request: Request) -> Response:
            session = await signed_in(request)
            assert request.state.session is session
            return JSONResponse({"name": session and session.name})

        super().__init__(app)

    def __enter__(self) -> Self:
        super().__enter__()
        self.portal.call(self.accounts.__aenter__)
        self.ada = self.do(self.accounts.users.create, "ada@example.org", PASSWORD, by="test")
        return self

    def __exit__(self, *failure) -> None:
        self.portal.call(self.accounts.__aexit__)
        super().__exit__(*failure)

    def do(self, function, *values, **named):
        async def call():
            return await function(*values, **named)

        return self.portal.call(call)

    def new_key(self, **how) -> dict[str, str]:
        """The header of a new key of ada's."""
        new = self.do(self.accounts.keys.create, self.ada.id, "test", by="test", **how)
        return {"authorization": f"Bearer {new.secret}"}


@pytest.fixture
def site(tmp_path):
    with Site(ServerSettings(data=tmp_path)) as site:
        yield site


@pytest.fixture
def open_site(tmp_path):
    """Which serves anybody."""
    with Site(ServerSettings(data=tmp_path, anonymous=True)) as site:
        yield site


def refusal(response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_by_key(site):
    key = site.new_key()
    assert site.post("/v1/x", headers=key).json() == {
        "name": "ada@example.org",
        "share": f"user {site.ada.id}",
        "is_admin": False,
    }


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "missing_api_key"),
        ("Basic YTpi", "missing_api_key"),
        ("Bearer", "missing_api_key"),
        ("Bearer  ", "missing_api_key"),
        ("Bearer nonsense", "invalid_api_key"),
        ("bearer sk-sonant-" + "x" * 48, "invalid_api_key"),
    ],
)
def test_without_a_key(header, code, site):
    assert refusal(site.post("/v1/x", headers={"authorization": header})) == (401, code)


def test_a_wrong_key_is_not_repeated_in_full(site):
    answer = site.post("/v1/x", headers={"authorization": "Bearer sk-sonant-of-another-server-0123456789"}).text
    assert "0123456789" not in answer


@pytest.mark.parametrize("end", ["revoked", "expired", "disabled", "deleted"])
def test_a_key_that_has_ended(end, site, monkeypatch):
    import time

    new = site.do(site.accounts.keys.create, site.ada.id, "test", expires=int(time.time()) + 60, by="test")
    key = {"authorization": f"Bearer {new.secret}"}
    assert site.post("/v1/x", headers=key).status_code == 200
    match end:
        case "revoked":
            site.do(site.accounts.keys.revoke, new.key.id, by="test")
        case "expired":
            now = time.time()
            monkeypatch.setattr(time, "time", lambda: now + 61)
        case "disabled":
            site.do(site.accounts.users.set_disabled, site.ada.id, True, by="test")
        case "deleted":
            site.do(site.accounts.users.delete, site.ada.id, by="test")
    answer = site.post("/v1/x", headers=key)
    assert refusal(answer) == ((403, "account_disabled") if end == "disabled" else (401, "invalid_api_key"))


def test_scopes(site):
    assert refusal(site.post("/v1/x", headers=site.new_key(scopes=["models"]))) == (403, "insufficient_scope")
    assert refusal(site.post("/admin", headers=site.new_key())) == (403, "insufficient_scope")
    site.do(site.accounts.users.set_admin, site.ada.id, True, by="test")
    plain, powerful = site.new_key(scopes=API_SCOPES), site.new_key(scopes=SCOPES)
    assert refusal(site.post("/admin", headers=plain)) == (403, "insufficient_scope")  # less than its owner may
    assert not site.post("/v1/x", headers=plain).json()["is_admin"]
    assert site.post("/admin", headers=powerful).status_code == 200
    site.do(site.accounts.users.create, "bob@example.org", is_admin=True, by="test")
    site.do(site.accounts.users.set_admin, site.ada.id, False, by="test")
    assert refusal(site.post("/admin", headers=powerful)) == (403, "insufficient_scope")  # no more than its owner may


def test_by_cookie_and_with_the_csrf_token_only(site):
    csrf = site.post("/sign-in").json()["csrf"]
    assert site.get("/who").json() == {"name": "ada@example.org"}
    assert site.get("/v1/x").json()["share"] == f"user {site.ada.id}"
    assert refusal(site.post("/v1/x")) == (403, "csrf_failed")
    assert refusal(site.post("/v1/x", headers={"x-csrf-token": csrf[::-1]})) == (403, "csrf_failed")
    assert site.post("/v1/x", headers={"x-csrf-token": csrf}).status_code == 200
    assert site.post("/change", data={"csrf_token": csrf, "a": "1"}).json() == {"fields": ["a", "csrf_token"]}
    assert site.post("/change", headers={"x-csrf-token": csrf}).status_code == 200
    for data in ({}, {"csrf_token": ""}, {"csrf_token": "ü"}):
        assert refusal(site.post("/change", data=data)) == (403, "csrf_failed")
    assert refusal(site.post("/change", files={"csrf_token": b"x"})) == (403, "csrf_failed")
    # The API takes it from the header alone, which another site's form cannot set.
    assert refusal(site.post("/v1/x", data={"csrf_token": csrf})) == (403, "csrf_failed")


def test_the_token_of_one_session_does_not_serve_another(site):
    first = site.post("/sign-in").json()["csrf"]
    second = site.post("/sign-in").json()["csrf"]
    assert first != second
    assert site.post("/change", headers={"x-csrf-token": second}).status_code == 200
    assert refusal(site.post("/change", headers={"x-csrf-token": first})) == (403, "csrf_failed")


def test_the_cookie(site):
    cookie = site.post("/sign-in").headers["set-cookie"].lower()
    assert {"httponly", "samesite=lax", "path=/"} <= set(cookie.split("; "))
    assert "secure" not in cookie
    site.base_url = "https://testserver"
    assert "secure" in site.post("/sign-in").headers["set-cookie"].lower().split("; ")


def test_the_cookie_may_be_secure_behind_any_proxy(tmp_path):
    with Site(ServerSettings(data=tmp_path, accounts=AccountRules(secure_cookies=True))) as site:
        assert "secure" in site.post("/sign-in").headers["set-cookie"].lower()


def test_signing_out_here_and_everywhere(site):
    tokens = []
    for _ in range(3):
        site.post("/sign-in")
        tokens.append(site.cookies[COOKIE])
    recognize = site.accounts.sessions.recognize
    assert len(site.do(site.accounts.sessions.of, site.ada.id)) == 3
    site.do(site.accounts.sessions.sign_out, tokens[0])
    assert [site.do(recognize, token) is not None for token in tokens] == [False, True, True]
    site.do(site.accounts.sessions.sign_out_everywhere, site.ada.id)
    assert [site.do(recognize, token) is not None for token in tokens] == [False] * 3
    assert site.get("/who").json() == {"name": None}
    assert refusal(site.post("/change")) == (401, "not_signed_in")


def test_a_session_ends_by_itself(site, monkeypatch):
    import time

    site.post("/sign-in")
    token, now = site.cookies[COOKIE], time.time()
    monkeypatch.setattr(time, "time", lambda: now + 31 * 86_400)
    assert site.do(site.accounts.sessions.recognize, token) is None
    site.do(site.accounts.sessions.clear_expired)
    monkeypatch.undo()
    site.accounts.sessions.forget(site.ada.id)
    assert site.do(site.accounts.sessions.recognize, token) is None


def test_an_administrators_key_signs_in(site):
    key = site.do(site.accounts.first_admin_key)
    session = site.do(site.accounts.sessions.sign_in_with_key, f" {key}\n", address="").session
    assert (session.email, session.is_admin) == ("admin@localhost", True)
    for weak in (site.new_key()["authorization"].split()[1], "nonsense"):
        with pytest.raises(errors.ApiError) as refused:
            site.do(site.accounts.sessions.sign_in_with_key, weak, address="")
        assert refused.value.status == 401


def test_what_a_key_opened_ends_with_it(site, monkeypatch):
    import time

    by_password = site.do(site.accounts.sessions.open, site.ada.id, address="").token
    site.do(site.accounts.users.set_admin, site.ada.id, True, by="test")
    sessions, now = site.accounts.sessions, time.time()
    keys = [
        site.do(site.accounts.keys.create, site.ada.id, "x", scopes=SCOPES, expires=int(now) + 60, by="test")
        for _ in range(2)
    ]
    tokens = [site.do(sessions.sign_in_with_key, key.secret, address="").token for key in keys]
    assert all(site.do(sessions.recognize, token) for token in tokens)
    site.do(site.accounts.keys.revoke, keys[0].key.id, by="test")
    assert [site.do(sessions.recognize, token) is not None for token in (*tokens, by_password)] == [False, True, True]
    monkeypatch.setattr(time, "time", lambda: now + 61)
    assert site.do(sessions.recognize, tokens[1]) is None


def test_the_page_of_another_site_signs_nobody_in(site):
    for headers in ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        assert refusal(site.post("/sign-in", headers=headers)) == (403, "cross_site_request")
    ours = {"origin": "http://testserver", "sec-fetch-site": "same-origin"}
    assert site.post("/sign-in", headers=ours).status_code == 200


def test_anonymously(open_site):
    expected = {"name": "anonymous", "share": "anonymous testclient", "is_admin": False}
    assert open_site.post("/v1/x").json() == expected
    # The clients of OpenAI insist on a key: any that is not ours will do.
    assert open_site.post("/v1/x", headers={"authorization": "Bearer unused"}).json() == expected
    wrong = {"authorization": "Bearer sk-sonant-" + "x" * 48}
    assert refusal(open_site.post("/v1/x", headers=wrong)) == (401, "invalid_api_key")
    assert open_site.post("/v1/x", headers=open_site.new_key()).json()["name"] == "ada@example.org"
    assert refusal(open_site.post("/admin")) == (403, "insufficient_scope")
    assert refusal(open_site.post("/v1/x", headers={"origin": "https://evil.example"})) == (403, "cross_site_request")


def test_anonymously_from_the_page_of_a_site_that_the_settings_name(open_site, monkeypatch):
    settings = open_site.app.state.services.settings
    allowed = replace(settings, cors_origins=("https://app.example.org",))
    monkeypatch.setattr(open_site.app.state.services, "settings", allowed)
    headers = {"origin": "https://app.example.org", "sec-fetch-site": "cross-site"}
    assert open_site.post("/v1/x", headers=headers).status_code == 200
    assert refusal(open_site.post("/v1/x", headers={"origin": "https://evil.example"})) == (403, "cross_site_request")
    assert refusal(open_site.post("/sign-in", headers=headers)) == (403, "cross_site_request")


def test_requests_by_the_minute(site):
    key, other = site.new_key(requests_per_minute=3), site.new_key()
    answers = [site.post("/v1/x", headers=key) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert refusal(answers[-1])[1] == "rate_limit_exceeded"
    assert 50 < int(answers[-1].headers["retry-after"]) <= 61
    assert site.post("/v1/x", headers=other).status_code == 200


def test_the_keys_of_an_account_share_its_rate_and_their_own_can_only_be_lower(tmp_path):
    with Site(ServerSettings(data=tmp_path, accounts=AccountRules(requests_per_minute=6))) as site:
        low, high, plain = site.new_key(requests_per_minute=2), site.new_key(requests_per_minute=1000), site.new_key()

        def statuses(key, number):
            return [site.post("/v1/x", headers=key).status_code for _ in range(number)]

        assert len({site.get("/v1/x", headers=key).json()["share"] for key in (low, high)}) == 1
        assert statuses(low, 3) == [200, 429, 429]  # which do not count for the account
        assert statuses(high, 4) == [200, 200, 200, 429]
        assert statuses(plain, 1) == [429]


def test_the_api_tells_of_its_keys(site):
    described = site.app.openapi()
    assert described["components"]["securitySchemes"]["ApiKey"]["scheme"] == "bearer"
    assert described["paths"]["/v1/x"]["post"]["security"] == [{"ApiKey": []}]

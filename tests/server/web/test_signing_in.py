"""The forms of sign-up and sign-in, and what they refuse."""

import httpx2
import pytest

from tests.server.running import RunningServer
from tests.server.web.conftest import csrf_of

PASSWORD = "four words in a row"


def sign_up(client: httpx2.Client, email: str, password: str = PASSWORD, **more: str) -> httpx2.Response:
    return client.post("/sign-up", data={"email": email, "password": password, **more})


def test_sign_up_signs_in_and_goes_on(visitor: httpx2.Client) -> None:
    response = sign_up(visitor, "Up@Example.org", next="/playground?model=x")
    assert (response.status_code, response.headers["location"]) == (303, "/playground?model=x")
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert visitor.get("/account?format=json").json()["email"] == "up@example.org"


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_forms_lead_nowhere_else(visitor: httpx2.Client, elsewhere: str) -> None:
    email = f"next{abs(hash(elsewhere))}@example.org"
    assert sign_up(visitor, email, next=elsewhere).headers["location"] == "/account"


@pytest.mark.parametrize(
    ("email", "password", "code"),
    [("no address", PASSWORD, "invalid_email"), ("weak@example.org", "short", "weak_password")],
)
def test_what_is_refused_is_told_at_its_field(visitor: httpx2.Client, email: str, password: str, code: str) -> None:
    response = sign_up(visitor, email, password)
    assert response.status_code == 400
    assert 'aria-invalid="true"' in response.text
    assert f'value="{email}"' in response.text  # typed once is enough
    assert password not in response.text
    told = visitor.post(
        "/sign-up", data={"email": email, "password": password}, headers={"Accept": "application/json"}
    ).json()
    assert told["error"]["code"] == code


def test_wrong_password_says_nothing_of_the_address(visitor: httpx2.Client) -> None:
    sign_up(visitor, "known@example.org")
    visitor.cookies.clear()
    answers = {
        visitor.post(
            "/sign-in",
            data={"email": email, "password": "not the password"},
            headers={"Accept": "application/json"},
        ).json()["error"]["message"]
        for email in ("known@example.org", "unknown@example.org")
    }
    assert len(answers) == 1


def test_key_of_a_member_does_not_sign_in(visitor: httpx2.Client, server: RunningServer) -> None:
    response = visitor.post("/sign-in", data={"key": server.user_key})
    assert response.status_code == 401
    assert "set-cookie" not in response.headers


def test_another_sites_form_is_refused(visitor: httpx2.Client) -> None:
    response = visitor.post(
        "/sign-in", data={"email": "a@example.org", "password": PASSWORD}, headers={"Origin": "https://evil.example"}
    )
    assert response.status_code == 403


@pytest.mark.parametrize("path", ["/account", "/account/keys", "/account/usage?since=2026-01-01", "/admin"])
def test_who_is_not_signed_in_is_led_to_the_form_and_back(visitor: httpx2.Client, path: str) -> None:
    response = visitor.get(path)
    assert response.status_code == 303
    form = visitor.get(response.headers["location"])
    assert f'name="next" value="{path}"' in form.text
    told = visitor.get(path, headers={"Accept": "application/json"})
    assert (told.status_code, told.json()["error"]["code"]) == (401, "not_signed_in")


def test_sign_out_takes_the_token(visitor: httpx2.Client) -> None:
    sign_up(visitor, "out@example.org")
    assert visitor.post("/sign-out", data={"csrf_token": "guessed"}).status_code == 403
    token = csrf_of(visitor.get("/account").text)
    assert visitor.post("/sign-out", data={"csrf_token": token}).status_code == 303
    assert visitor.get("/account").status_code == 303

"""What administrators do, who else may not, and that it is written down."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from sonant.server.settings import ServerSettings
from tests.server.running import RunningServer, running

Member = Callable[[str], httpx2.Client]
MODEL = "sonant/wavlm-tiny"


@pytest.fixture
def administrator(server: RunningServer) -> Iterator[httpx2.Client]:
    """A program with an administrator's key."""
    headers = {"Authorization": f"Bearer {server.admin_key}", "Accept": "application/json"}
    with httpx2.Client(base_url=server.base_url, headers=headers, timeout=60) as client:
        yield client


@pytest.fixture
def somebody(server: RunningServer) -> Iterator[int]:
    users = server.services.accounts.users
    user = server.run(users.create("somebody@example.org", by="tests", credit=Decimal(1)))
    yield user.id
    server.run(users.delete(user.id, by="tests"))


GETS = ["/admin", "/admin/users", "/admin/users/1", "/admin/usage", "/admin/audit"]
POSTS = [
    "/admin/models/load", "/admin/models/unload", "/admin/users/1/credit", "/admin/users/1/disabled",
    "/admin/users/1/admin", "/admin/users/1/password", "/admin/users/1/keys/1/revoke",
]  # fmt: skip


@pytest.mark.parametrize("path", GETS)
def test_others_see_nothing(member: Member, server: RunningServer, path: str) -> None:
    assert member(f"sees{path.replace('/', '-')}@example.org").get(path).status_code == 403
    keyed = httpx2.get(server.base_url + path, headers={"Authorization": f"Bearer {server.user_key}"})
    assert keyed.status_code == 403


@pytest.mark.parametrize("path", POSTS)
def test_others_change_nothing(member: Member, server: RunningServer, path: str) -> None:
    client = member(f"does{path.replace('/', '-')}@example.org")
    session = server.run(server.services.accounts.sessions.recognize(client.cookies["sonant_session"]))
    assert session is not None
    fields = {"csrf_token": session.csrf_token, "model": MODEL, "value": "yes", "amount": "1", "password": "x" * 12}
    assert client.post(path, data=fields).status_code == 403
    server.run(server.services.accounts.users.set_admin(session.user_id, True, by="tests"))
    token = server.run(server.services.accounts.sessions.open(session.user_id, address="")).token
    client.cookies.set("sonant_session", token)
    forged = client.post(path, data=fields | {"csrf_token": "guessed"}, headers={"Accept": "application/json"})
    assert forged.json()["error"]["code"] == "csrf_failed"
    server.run(server.services.accounts.users.delete(session.user_id, by="tests"))


def test_grants_are_exact_and_written_down(administrator: httpx2.Client, somebody: int) -> None:
    path = f"/admin/users/{somebody}"
    given = {"amount": "0.000000001", "reason": "a test"}
    page = administrator.post(f"{path}/credit", data=given).json()
    assert page == administrator.get(path).json()
    assert page["user"]["credit"] == "1.000000001"
    assert page["entries"][0]["action"] == "credit granted"
    assert page["entries"][0]["by"] == "admin@localhost"


@pytest.mark.parametrize("amount", ["", "lots", "NaN", "Infinity", "-2", "1e30"])
def test_amounts_that_are_none_are_refused(administrator: httpx2.Client, somebody: int, amount: str) -> None:
    assert administrator.post(f"/admin/users/{somebody}/credit", data={"amount": amount}).status_code == 400
    assert administrator.get(f"/admin/users/{somebody}").json()["user"]["credit"] == "1"


@pytest.mark.parametrize(("action", "field"), [("disabled", "is_disabled"), ("admin", "is_admin")])
def test_rights_are_given_and_taken(administrator: httpx2.Client, somebody: int, action: str, field: str) -> None:
    for value, expected in (("yes", True), ("no", False)):
        by_form = administrator.post(f"/admin/users/{somebody}/{action}", data={"value": value})
        assert by_form.json()["user"][field] is expected
        by_json = administrator.post(f"/admin/users/{somebody}/{action}", json={"value": not expected})
        assert by_json.json()["user"][field] is not expected


def test_json_is_answered_in_json_and_forms_of_browsers_by_a_redirect(server: RunningServer, somebody: int) -> None:
    headers = {"Authorization": f"Bearer {server.admin_key}"}
    path = f"{server.base_url}/admin/users/{somebody}/credit"
    page = httpx2.post(path, headers=headers, json={"amount": 0.5, "reason": "as JSON"}).json()
    assert (page["user"]["credit"], page["grants"][0]["reason"]) == ("1.5", "as JSON")
    html = httpx2.post(path, headers=headers | {"Accept": "text/html"}, data={"amount": "0.5"})
    assert (html.status_code, html.headers["location"]) == (303, f"/admin/users/{somebody}")
    for wrong in ({"amount": []}, [1], {"amount": None}):
        refused = httpx2.post(path, headers=headers, json=wrong)
        assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
    broken = httpx2.post(path, headers=headers | {"Content-Type": "application/json"}, content=b"{")
    assert broken.json()["error"]["code"] == "invalid_json"


def test_the_last_administrator_stays(administrator: httpx2.Client, server: RunningServer) -> None:
    first = server.run(server.services.accounts.users.find("admin@localhost"))
    assert first is not None
    refused = administrator.post(f"/admin/users/{first.id}/admin", data={"value": "no"})
    assert refused.json()["error"]["code"] == "last_administrator"


@pytest.mark.parametrize("path", ["/admin/users/{}", "/admin/audit?before={}", "/admin/users?after={}"])
@pytest.mark.parametrize("number", [2**63, 10**30, -1])
def test_numbers_beyond_the_database_are_refused(administrator: httpx2.Client, path: str, number: int) -> None:
    assert administrator.get(path.format(number)).status_code == 400


def test_users_are_found_and_paged(administrator: httpx2.Client, server: RunningServer) -> None:
    users = server.services.accounts.users
    made = [server.run(users.create(f"crowd{i:02}@example.org", by="tests")) for i in range(52)]
    first = administrator.get("/admin/users", params={"q": "crowd"}).json()
    rest = administrator.get(first["next"]).json()
    assert [user["id"] for user in [*first["users"], *rest["users"]]] == [user.id for user in made]
    assert rest["next"] is None


def test_the_log_is_paged(administrator: httpx2.Client, server: RunningServer) -> None:
    audit = server.services.accounts.audit
    for number in range(101):
        server.run(audit.record("counted", by="tests", target="pages of the log", detail=str(number)))
    first = administrator.get("/admin/audit", params={"target": "pages of the log"}).json()
    rest = administrator.get(first["next"]).json()
    told = [int(entry["detail"]) for entry in [*first["entries"], *rest["entries"]]]
    assert told == list(range(100, -1, -1))
    assert rest["next"] is None


def test_models_come_and_go(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(ServerSettings(data=tmp_path_factory.mktemp("models"))) as server:
        headers = {"Authorization": f"Bearer {server.admin_key}", "Accept": "application/json"}
        with httpx2.Client(base_url=server.base_url, headers=headers, timeout=60) as client:

            def state(**change: Any) -> str:
                ((way, model),) = change.items()
                answer = client.post(f"/admin/models/{way}", data={"model": model})
                answer.raise_for_status()
                return {model["id"]: model["state"] for model in client.get("/admin").json()["models"]}[MODEL]

            assert state(unload=MODEL) == "unloaded"
            assert state(load="wavlm-tiny") in {"live", "loading"}
            refused = client.post("/admin/models/load", data={"model": "no-such-model"})
            assert refused.status_code == 404
            log = client.get("/admin/audit").json()["entries"]
            assert {"model loaded", "model unloaded"} <= {entry["action"] for entry in log}

"""Who asks, behind web servers; and warnings where that is probably not known."""

import logging

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from sonant.server.operations.proxies import MOST_WARNINGS, ClientAddresses, warn_of_settings
from sonant.server.settings import AccountRules, ServerSettings

CLIENT = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9", "X-Forwarded-Proto": "https"}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope)
    host = request.client.host if request.client else ""
    await PlainTextResponse(f"{host} {request.url.scheme}")(scope, receive, send)


def asked(host: str, settings: ServerSettings, headers: dict[str, str] = CLIENT) -> str:
    return TestClient(ClientAddresses(app, settings=settings), client=(host, 1)).get("/", headers=headers).text


def test_a_web_server_of_this_machine_is_believed_and_only_for_the_last_address() -> None:
    """What stands before it, the client itself may have written."""
    assert asked("127.0.0.1", ServerSettings()) == "203.0.113.9 https"


def test_others_are_not_believed_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    behind = TestClient(ClientAddresses(app, settings=ServerSettings()), client=("172.17.0.1", 1))
    for _ in range(3):
        assert behind.get("/", headers=CLIENT).text == "172.17.0.1 http"
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "172.17.0.1 sent the header x-forwarded-for" in record.getMessage()


def test_networks_can_be_trusted_and_nobody_too(caplog: pytest.LogCaptureFixture) -> None:
    assert asked("172.17.0.1", ServerSettings(trusted_proxies=("172.16.0.0/12",))) == "203.0.113.9 https"
    assert asked("192.0.2.1", ServerSettings(trusted_proxies=()), {}) == "192.0.2.1 http"
    assert not caplog.records
    assert asked("127.0.0.1", ServerSettings(trusted_proxies=())) == "127.0.0.1 http"


def test_strangers_cannot_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    addresses = ClientAddresses(app, settings=ServerSettings())
    for i in range(3 * MOST_WARNINGS):
        TestClient(addresses, client=(f"203.0.113.{i}", 1)).get("/", headers=CLIENT)
    assert len(caplog.records) == MOST_WARNINGS


@pytest.mark.parametrize(
    ("host", "proxies", "sign_up", "warned"),
    [
        ("127.0.0.1", ("127.0.0.1", "::1"), True, None),
        ("0.0.0.0", ("127.0.0.1", "::1"), True, "all visitors count as one address"),
        ("0.0.0.0", ("127.0.0.1", "::1"), False, None),
        ("0.0.0.0", ("172.28.5.1",), True, None),
        ("0.0.0.0", (), True, None),
        ("127.0.0.1", ("*",), False, "any client may claim any address"),
    ],
)
def test_settings_that_look_wrong_are_warned_of(
    host: str, proxies: tuple[str, ...], sign_up: bool, warned: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    rules = AccountRules(sign_up=sign_up)
    warn_of_settings(ServerSettings(host=host, trusted_proxies=proxies, accounts=rules))
    assert [warned in record.getMessage() for record in caplog.records] == ([] if warned is None else [True])

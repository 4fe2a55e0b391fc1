"""Messages reach the host for mail, and what goes wrong with one is logged and harms nothing."""

import logging
import socket

import pytest

from sonant.server import mail
from sonant.server.mail import Mailer
from sonant.server.settings import Mail
from tests.server.mail_host import mail_host

SITE = {"sender": "sonant@example.org", "site": "https://speech.example.org"}


def test_a_message_arrives() -> None:
    with mail_host() as host:
        mailer = Mailer(Mail(host="127.0.0.1", port=host.port, security="none", **SITE))
        mailer.send("ada@example.org", "A word", "Dear Ada,\n\nà bientôt\n")
        message = host.messages.get(timeout=10)
        mailer.close()
    assert (message["From"], message["To"], message["Subject"]) == ("sonant@example.org", "ada@example.org", "A word")
    assert "à bientôt" in message.get_content()


@pytest.mark.parametrize("fault", ["refuses", "gone", "no encryption"])
def test_what_cannot_be_sent_is_logged_without_the_address(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    with mail_host() as host:
        host.refuses = fault == "refuses"
        port = host.port
        if fault == "gone":
            with socket.create_server(("127.0.0.1", 0)) as other:
                port = other.getsockname()[1]
        security = "starttls" if fault == "no encryption" else "none"
        mailer = Mailer(Mail(host="127.0.0.1", port=port, security=security, **SITE))  # type: ignore[arg-type]
        mailer.send("ada@example.org", "A word", "Dear Ada")
        mailer._thread.submit(lambda: None).result(10)
        mailer.close()
        assert host.messages.empty()
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "could not be sent by 127.0.0.1" in record.getMessage()
    assert "ada" not in caplog.text


def test_no_more_wait_than_may(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(mail, "MOST_WAITING", 0)
    mailer = Mailer(Mail(host="127.0.0.1", **SITE))
    mailer.send("ada@example.org", "A word", "Dear Ada")
    mailer.close()
    assert "dropped" in caplog.text

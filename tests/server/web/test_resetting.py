"""A user who forgot the password gets back in, where mail is sent; elsewhere the page says whom to ask."""

import re
from pathlib import Path

import httpx2
import pytest

from sonant.server.settings import Mail, ServerSettings
from tests.server.mail_host import mail_host
from tests.server.running import running
from tests.server.web.conftest import HTML


def test_without_mail_the_page_says_whom_to_ask(visitor: httpx2.Client) -> None:
    assert "/forgotten-password" in visitor.get("/sign-in").text
    page = visitor.get("/forgotten-password").text
    assert "sends no mail" in page
    assert "sonant users change" in page
    assert visitor.post("/forgotten-password", data={"email": "ada@example.org"}).status_code == 400
    assert visitor.get("/reset-password?token=x").status_code == 400


@pytest.mark.slow
def test_from_the_form_back_into_the_account(tmp_path: Path) -> None:
    sender, site, new = "sonant@example.org", "https://speech.example.org", "another four words here"
    with mail_host() as host:
        mail = Mail(host="127.0.0.1", port=host.port, security="none", sender=sender, site=site)
        with running(ServerSettings(data=tmp_path, mail=mail)) as server:
            server.run(server.services.accounts.users.create("ada@example.org", "four words in a row", by="tests"))
            with httpx2.Client(base_url=server.base_url, headers=HTML, timeout=60) as visitor:
                answers = []
                for email in ("nobody@example.org", "ada@example.org"):
                    answer = visitor.post("/forgotten-password", data={"email": email})
                    answers.append((answer.status_code, answer.headers["location"], answer.content))
                assert answers[0] == answers[1]
                assert "a link was sent" in visitor.get(answers[0][1]).text
                message = host.messages.get(timeout=60)
                assert message["To"] == "ada@example.org"
                link = re.search(rf"{site}(/reset-password\S+)", message.get_content())[1]
                token = link.partition("token=")[2]
                assert "ada@example.org" in visitor.get(link).text
                weak = visitor.post("/reset-password", data={"token": token, "new": "short"})
                assert (weak.status_code, token in weak.text) == (400, True)
                done = visitor.post("/reset-password", data={"token": token, "new": new})
                assert (done.status_code, done.headers["location"]) == (303, "/account?done=password")
                assert "The password was changed" in visitor.get(done.headers["location"]).text
                again = visitor.get(link)
                assert (again.status_code, "Send the link" in again.text) == (400, True)
                other = {"Origin": "https://evil.example"}
                for path in ("/forgotten-password", "/reset-password"):
                    assert visitor.post(path, data={"token": token}, headers=other).status_code == 403

"""A new user follows the link in a message, and has the free credit."""

import re
from pathlib import Path

import httpx2
import pytest

from sonant.server.settings import Mail, ServerSettings
from tests.server.mail_host import mail_host
from tests.server.running import running
from tests.server.web.conftest import HTML, csrf_of


@pytest.mark.slow
def test_from_the_form_to_the_credit(tmp_path: Path) -> None:
    with mail_host() as host:
        sender, site = "sonant@example.org", "https://speech.example.org"
        mail = Mail(host="127.0.0.1", port=host.port, security="none", sender=sender, site=site)
        with running(ServerSettings(data=tmp_path, mail=mail)) as server:
            with httpx2.Client(base_url=server.base_url, headers=HTML, timeout=60) as visitor:
                assert "A link is sent to it" in visitor.get("/sign-up").text
                visitor.post("/sign-up", data={"email": "new@example.org", "password": "four words in a row"})
                message = host.messages.get(timeout=60)
                assert message["To"] == "new@example.org"
                page = visitor.get("/account")
                assert "Send the link again" in page.text
                again = visitor.post("/account/confirmation", data={"csrf_token": csrf_of(page.text)})
                assert again.headers["location"] == "/account?done=sent"
                link = re.search(rf"{site}(/confirm\S+)", host.messages.get(timeout=60).get_content())[1]
                token = link.partition("token=")[2]
                visitor.cookies.clear()  # a message may be read on another device
                assert "new@example.org" in visitor.get(link).text
                assert visitor.get(link).status_code == 200, "opening it changes nothing"
                done = visitor.post("/confirm", data={"token": token})
                assert (done.status_code, done.headers["location"]) == (303, "/account?done=credit")
                assert visitor.get(link).status_code == 400
            user = server.run(server.services.accounts.users.find("new@example.org"))
            assert user.credit == 5

"""Visitors of the pages, and a server whose models are in every state."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

import sonant.models
from sonant.server.accounts.sessions import COOKIE
from sonant.server.settings import ServerSettings
from sonant.server.web.entries import ModelEntry, entries
from tests.server.running import RunningServer, running

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
HOSTILE = "<b>voice & 'co' \"x\""


@pytest.fixture
def visitor(server: RunningServer) -> Iterator[httpx2.Client]:
    """A browser without scripts whose owner has no account."""
    server.forget_attempts()
    with httpx2.Client(base_url=server.base_url, headers=HTML) as client:
        yield client


@pytest.fixture
def member(visitor: httpx2.Client, server: RunningServer) -> Callable[[str], httpx2.Client]:
    """A browser that somebody is signed in with: `member("ada@example.org")`."""

    def sign_in(email: str) -> httpx2.Client:
        services = server.services
        user = server.run(services.accounts.users.create(email, by="tests"))
        new = server.run(services.accounts.sessions.open(user.id, address="127.0.0.1"))
        visitor.cookies.set(COOKIE, new.token)
        return visitor

    return sign_in


@pytest.fixture(scope="session")
def every(server: RunningServer) -> list[ModelEntry]:
    """All that the server tells of its models."""
    return server.run(entries(server.services))


@pytest.fixture(scope="session")
def odd_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """With a model of the user's own whose name is hostile, one that cannot be loaded, the shipped one, a promise."""
    folder = tmp_path_factory.mktemp("own")
    shipped = Path(sonant.models.__file__).parent / "wavlm_tiny"
    shutil.copytree(shipped, folder / HOSTILE)
    (folder / "broken").mkdir()
    (folder / "broken" / "config.json").write_text("{}")
    models = (str(folder / HOSTILE), "sonant/wavlm-tiny", str(folder / "broken"))
    settings = ServerSettings(data=tmp_path_factory.mktemp("odd"), models=models, coming_soon=("wavlm-large",))
    with running(settings) as up:
        yield up


def csrf_of(html: str) -> str:
    """The token in a page's forms."""
    (token, *_) = re.findall(r'name="csrf_token" value="([^"]+)"', html)
    return token

"""One server for all tests that only ask it things."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.server.running import RunningServer


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator["RunningServer"]:
    """With the shipped model, on a data folder of its own."""
    from sonant.server.settings import ServerSettings
    from tests.server.running import running

    with running(ServerSettings(data=tmp_path_factory.mktemp("server"))) as up:
        yield up

"""Stands with a model and a queue; see `stand.py`."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.server.hosting.stand import Stand


@pytest.fixture
def make_stand() -> Iterator[Callable[..., Stand]]:
    """Makes stands, and closes them."""
    stands: list[Stand] = []

    def make(**how: Any) -> Stand:
        stands.append(Stand(**how))
        return stands[-1]

    yield make
    for stand in stands:
        stand.close()


@pytest.fixture
def stand(make_stand: Callable[..., Stand]) -> Stand:
    return make_stand()

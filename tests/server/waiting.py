"""Waiting for what the server does a moment after its answer."""

import time
from collections.abc import Callable


def until(condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Wait for something that must come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)

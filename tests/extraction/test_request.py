"""Settings of a request that cannot be met are refused when it is made, in seconds."""

from typing import Any

import pytest

from sonant.errors import ConfigurationError
from sonant.extraction.request import EncodeRequest


@pytest.mark.parametrize(
    "given",
    [
        {"overlap_seconds": 60.0},
        {"overlap_seconds": 90},
        {"overlap_seconds": -1.0},
        {"overlap_seconds": float("nan")},
        {"window_seconds": 5.0, "overlap_seconds": 8.0},
    ],
)
def test_windows_that_overlap_by_all_of_themselves_or_more(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"overlap_seconds=\S+ was given for windows of (60|5) s"):
        EncodeRequest(**given)


def test_any_other_overlap_is_taken() -> None:
    assert EncodeRequest(overlap_seconds=0).overlap == 0
    assert EncodeRequest(window_seconds=5.0).overlap == 1.25
    assert EncodeRequest(window_seconds=None, overlap_seconds=90.0).window_seconds is None

"""Figures of recent requests: failures of the server's count, those of the caller do not."""

import asyncio
import time
from collections.abc import Sequence

import numpy as np
import pytest

from sonant.errors import EmptyAudio, NonFiniteStates
from sonant.server.errors import ApiError
from sonant.server.hosting.recent_requests import MOST, RecentRequests

FAILURES = [ApiError(500, "x", "x"), ApiError(503, "x", "x"), NonFiniteStates("x"), ValueError("x")]
OF_THE_CALLER = [ApiError(402, "x", "x"), ApiError(429, "x", "x"), ApiError(499, "x", "x"), EmptyAudio("x")]


def requests(outcomes: Sequence[BaseException | float], monkeypatch: pytest.MonkeyPatch) -> RecentRequests:
    """Requests that took so many seconds, or failed."""
    recent, clock = RecentRequests(), [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            with pytest.raises(type(outcome)), recent.watched():
                raise outcome
        else:
            with recent.watched():
                clock[0] += outcome
    return recent


def test_quantiles_are_those_of_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = np.random.default_rng(0).exponential(size=101).tolist()
    figures = requests(seconds, monkeypatch).figures
    assert figures is not None
    assert (figures.requests, figures.answered) == (101, 1)
    assert figures.median_seconds == pytest.approx(sorted(seconds)[50])
    assert figures.p95_seconds == pytest.approx(sorted(seconds)[95])


@pytest.mark.parametrize("failure", FAILURES, ids=repr)
def test_failures_count(failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = requests([1.0, failure, failure, 3.0], monkeypatch).figures
    assert figures is not None
    assert (figures.requests, figures.answered, figures.median_seconds) == (4, 0.5, 1.0)
    alone = requests([failure], monkeypatch).figures
    assert alone is not None
    assert (alone.answered, alone.median_seconds, alone.p95_seconds) == (0, None, None)


@pytest.mark.parametrize("error", [*OF_THE_CALLER, asyncio.CancelledError()], ids=repr)
def test_what_the_caller_has_to_mend_does_not(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    assert requests([error], monkeypatch).figures is None


def test_only_the_last_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = requests([ValueError("x")] * 5 + [1.0] * MOST, monkeypatch).figures
    assert figures is not None
    assert (figures.requests, figures.answered) == (MOST, 1)

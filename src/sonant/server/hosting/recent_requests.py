"""The latency of the most recent requests to a model, and the share of them that were answered."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

import numpy as np

from sonant.errors import SonantError
from sonant.server.errors import ApiError, api_error

MOST = 1000  # requests remembered of a model


@dataclass(frozen=True, kw_only=True)
class RequestFigures:
    """Figures over recent requests to a model.

    Attributes:
        requests: number of requests counted.
        since: time of the first of them, unix seconds.
        answered: share of them that did not fail on the side of the server, 0 to 1.
        median_seconds, p95_seconds: time that half and 95 % of the answered ones took at most; None if there are none.
    """

    requests: int
    since: float
    answered: float
    median_seconds: float | None
    p95_seconds: float | None


class RecentRequests:
    """The last thousand requests to a model that this process answered, or should have.

    What the caller has to mend (a status of 400 to 499: a broken recording, no credit, too many requests) is not
    counted.
    """

    def __init__(self) -> None:
        self._outcomes: deque[tuple[float, float | None]] = deque(maxlen=MOST)  # (unix time, seconds or failed)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Count a request, which the body of the `with` statement answers or fails with an exception."""
        now, start = time.time(), time.perf_counter()
        try:
            yield
        except Exception as error:
            if _status(error) >= HTTPStatus.INTERNAL_SERVER_ERROR:
                self._outcomes.append((now, None))
            raise
        self._outcomes.append((now, time.perf_counter() - start))

    @property
    def figures(self) -> RequestFigures | None:
        """Figures over the requests that are remembered; None before the first."""
        if not self._outcomes:
            return None
        seconds = [each for _, each in self._outcomes if each is not None]
        median, p95 = np.quantile(seconds, (0.5, 0.95), method="inverted_cdf").tolist() if seconds else (None, None)
        return RequestFigures(
            requests=len(self._outcomes),
            since=self._outcomes[0][0],
            answered=len(seconds) / len(self._outcomes),
            median_seconds=median,
            p95_seconds=p95,
        )


def _status(error: Exception) -> int:
    match error:
        case ApiError():
            return error.status
        case SonantError():
            return api_error(error).status
    return HTTPStatus.INTERNAL_SERVER_ERROR

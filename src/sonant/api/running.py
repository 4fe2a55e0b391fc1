"""The parts that all methods on recordings share: arguments of running, and errors of unusable recordings."""

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from sonant.api.recordings import Recordings
from sonant.audio import Channel
from sonant.errors import SonantWarning, UnknownName, warn
from sonant.extraction.engine import Engine, OnError, collect
from sonant.extraction.request import Request
from sonant.extraction.sinks import Sink
from sonant.extraction.sources import Source
from sonant.inference import Precision
from sonant.models.devices import Device


class Running(TypedDict, total=False):
    """The arguments that say how a call runs; see `SpeechEncoder.encode`."""

    sampling_rate: int | None
    channel: Channel | None
    batch_seconds: float | None
    window_seconds: float | None
    overlap_seconds: float | None
    precision: Precision | None
    on_error: OnError
    on_failure: Callable[[int, Exception], None] | None
    progress: bool | None
    device: Device | Sequence[Device] | None


def results_of(
    engine: Engine,
    recordings: Recordings,
    request: Request,
    *,
    on_error: OnError,
    progress: bool | None,
    on_failure: Callable[[int, Exception], None] | None = None,
    make_sink: Callable[[Source], Sink] | None = None,
) -> list[Any]:
    """Return the result of each source; None, and a warning, for those that could not be used.

    If given, `on_failure` is called in place of the warning, with the number of the recording and each of its errors.
    """
    check_on_error(on_error)
    values, outcomes = collect(
        engine, recordings.sources, request, on_error=on_error, show_progress=progress, make_sink=make_sink
    )
    failures = recordings.failures(outcomes)
    if on_failure is not None:
        for number, error in failures:
            on_failure(number, error)
    elif failures:
        _warn(failures, recordings.count)
    return values


def check_on_error(on_error: str) -> None:
    """Raise UnknownName unless `on_error` is a known way to treat unusable recordings."""
    if on_error not in ("raise", "skip"):
        raise UnknownName("way to treat unusable recordings", on_error, ["raise", "skip"])


def _warn(failures: Sequence[tuple[int, Exception]], total: int) -> None:
    lines = [f"  {number}: {error}" for number, error in failures[:5]]
    more = [f"  and {len(failures) - 5} more"] if len(failures) > 5 else []
    failed = len({number for number, _ in failures})
    text = "\n".join([f"{failed} of {total} recordings could not be used; None stands for them:", *lines, *more])
    warn(text, SonantWarning)

"""What all that is done with recordings has in common: how it runs, and what becomes of those that cannot be used."""

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
    """How it runs; see `SpeechEncoder.encode`."""

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
    """The result of each source of the recordings, None for those that could not be used, of which a warning tells.

    `on_failure` is told instead, where it is given: the number of the recording, and why, once for each of its faults.
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
    """Raise UnknownName for a way to treat unusable recordings that does not exist."""
    if on_error not in ("raise", "skip"):
        raise UnknownName("way to treat unusable recordings", on_error, ["raise", "skip"])


def _warn(failures: Sequence[tuple[int, Exception]], total: int) -> None:
    lines = [f"  {number}: {error}" for number, error in failures[:5]]
    more = [f"  and {len(failures) - 5} more"] if len(failures) > 5 else []
    failed = len({number for number, _ in failures})
    text = "\n".join([f"{failed} of {total} recordings could not be used; None stands for them:", *lines, *more])
    warn(text, SonantWarning)

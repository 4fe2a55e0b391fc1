"""What all that is done with recordings has in common: how it runs, and what becomes of those that cannot be used."""

import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from sonant.api.devices import Device
from sonant.errors import UnknownName
from sonant.extraction.engine import Engine, OnError, Outcome, collect
from sonant.extraction.request import Request
from sonant.extraction.sinks import Sink
from sonant.extraction.sources import AudioSource, Source, is_many, rewound
from sonant.inference import Precision
from sonant.models import Backbone


class Running(TypedDict, total=False):
    """How it runs; see `SpeechEncoder.encode`."""

    sampling_rate: int | None
    batch_seconds: float | None
    window_seconds: float | None
    overlap_seconds: float | None
    precision: Precision | None
    on_error: OnError
    on_failure: Callable[[int, Exception], None] | None
    progress: bool | None
    device: Device | Sequence[Device] | None


def sources_of(
    audio: Any,
    model: Backbone,
    sampling_rate: int | None,
    *,
    min_samples: int | None = None,
    twice_at_once: bool = False,
) -> tuple[list[AudioSource], bool]:
    """The recordings, and whether they were given as several.

    Args:
        audio, sampling_rate: as in `SpeechEncoder.encode`.
        min_samples: that each must have; None: as many as one frame sees.
        twice_at_once: whether two will read a recording at the same time.
    """
    many = is_many(audio)
    shortest = model.receptive_field if min_samples is None else min_samples
    sources = [
        AudioSource(
            rewound(item, twice_at_once=twice_at_once), model.sampling_rate, shortest, source_rate=sampling_rate
        )
        for item in (audio if many else [audio])
    ]
    return sources, many


def results_of(
    engine: Engine,
    sources: Sequence[Source],
    request: Request,
    *,
    on_error: OnError,
    progress: bool | None,
    on_failure: Callable[[int, Exception], None] | None = None,
    make_sink: Callable[[Source], Sink] | None = None,
) -> list[Any]:
    """The result of each recording, None for those that could not be used, of which a warning tells.

    `on_failure` is told instead, where it is given: the number of the recording, and why.
    """
    check_on_error(on_error)
    values, failures = collect(engine, sources, request, on_error=on_error, show_progress=progress, make_sink=make_sink)
    if on_failure is not None:
        for failure in failures:
            if failure.error is not None:
                on_failure(failure.item, failure.error)
    elif failures:
        _warn(failures, len(sources))
    return values


def check_on_error(on_error: str) -> None:
    """Raise UnknownName for a way to treat unusable recordings that does not exist."""
    if on_error not in ("raise", "skip"):
        raise UnknownName("way to treat unusable recordings", on_error, ["raise", "skip"])


def _warn(failures: Sequence[Outcome], total: int) -> None:
    lines = [f"  {failure.item}: {failure.error}" for failure in sorted(failures, key=lambda failure: failure.item)[:5]]
    more = [f"  and {len(failures) - 5} more"] if len(failures) > 5 else []
    text = "\n".join([f"{len(failures)} of {total} recordings could not be used; None stands for them:", *lines, *more])
    warnings.warn(text, stacklevel=_depth_of_ours())


def _depth_of_ours() -> int:
    """How many calls up from a warning the caller's own line is."""
    depth, frame = 1, sys._getframe(1)  # noqa: SLF001 - what `inspect` uses too
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(f"{__package__}."):
        depth, frame = depth + 1, frame.f_back
    return depth

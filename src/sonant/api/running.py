"""Execution of a request on the recordings of a call, and warnings of unusable ones."""

from collections.abc import Callable, Sequence
from typing import Any

from sonant.api.audio_inputs import AudioInput, AudioInputs
from sonant.api.options import InferenceOptions, OnFailure
from sonant.api.recordings import Recordings
from sonant.errors import SonantWarning, warn
from sonant.extraction.engine import Engine, collect
from sonant.extraction.request import EncodeRequest
from sonant.extraction.sinks import Sink
from sonant.extraction.sources import Source

Failures = Sequence[tuple[int, Exception]]  # indices of recordings, and errors


def answers_of(
    engine: Engine,
    audio: AudioInput | AudioInputs,
    request: EncodeRequest,
    options: InferenceOptions,
    *,
    min_samples: int | None = None,
    twice_at_once: bool = False,
    make_sink: Callable[[Source], Sink] | None = None,
    finish: Callable[[Any], Any] | None = None,
    text: str | Sequence[str] | None = None,
) -> Any:
    """Return the answer for one recording, or a list of them; None for unusable ones.

    Args:
        options: completed options, see `completed`.
        min_samples, twice_at_once, text: see `Recordings`.
        make_sink: makes the sink of a source; None: states in memory.
        finish: maps the result of a sink to the answer; None: the identity.
    """
    recordings = Recordings(
        audio,
        engine.sampling_rate,
        source_rate=options["sampling_rate"],
        channel=options["channel"],
        min_samples=engine.receptive_field if min_samples is None else min_samples,
        twice_at_once=twice_at_once,
        text=text,
    )
    values, outcomes = collect(
        engine,
        recordings.sources,
        request,
        on_error=options["on_error"],
        show_progress=options["progress"],
        make_sink=make_sink,
    )
    tell(recordings.failures(outcomes), recordings.count, options["on_failure"])
    if finish is not None:
        values = [None if value is None else finish(value) for value in values]
    return recordings.as_given(values)


def tell(
    failures: Failures, total: int, on_failure: OnFailure | None, *, noun: str = "recordings", instead: str = "None"
) -> None:
    """Call `on_failure` for each failure; if it is None, give one warning.

    Args:
        total: number of recordings.
        noun: a word for recordings in the message.
        instead: the answer for failed recordings, in the message.
    """
    if on_failure is not None:
        for number, error in failures:
            on_failure(number, error)
    elif failures:
        failed = len({number for number, _ in failures})
        head = f"{failed} of {total} {noun} could not be used; {instead} stands for them:"
        lines = [f"  {number}: {error}" for number, error in failures[:5]]
        more = [f"  and {len(failures) - 5} more"] if len(failures) > 5 else []
        warn("\n".join([head, *lines, *more]), SonantWarning)

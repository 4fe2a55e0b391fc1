"""Diarization of a corpus: error rates with intervals, and the errors of each recording."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from sonant.decoding.results import SpeakerTurn
from sonant.errors import MeasurementError, SonantWarning, some_of, warn
from sonant.evaluation.bootstrap import bootstrap_interval
from sonant.evaluation.diarization import DiarizationError, Span, diarization_error, jaccard_errors

Turns = Mapping[str, Sequence[SpeakerTurn]]


def score_diarization(
    reference: Turns,
    found: Turns,
    *,
    collar_seconds: float = 0.0,
    skip_overlap: bool = False,
    regions: Mapping[str, Sequence[Span]] | None = None,
) -> dict[str, Any]:
    """Score the turns that were found in recordings, both by the name of the recording.

    Turns may be called by a path that ends with the name, as `sonant diarize` calls those of a manifest.
    A recording without turns that were found is all missed. One that the reference lacks is left out, with a warning,
    unless `regions` has it: then no one speaks there.

    Args:
        regions: of each recording, as in `diarization_error`, of which these are all that are scored; None: the
            recordings of the reference, whole.
        collar_seconds, skip_overlap: as in `diarization_error`.

    Returns:
        JSON values: `recordings`; `der` with `value`, and `low` and `high` of a 95 % interval over recordings; its
        parts `missed`, `false_alarm` and `confusion`; `jer`; `speech_seconds`; the conventions; and `by_recording` the
        DER of each, null without speech.

    Raises:
        MeasurementError: no recording of the reference has turns that were found, two paths end with the name of one,
            or none has speech that is scored.
    """
    names = list(reference if regions is None else regions)
    found = by_name(found, {*reference, *names})
    if names and not set(names) & set(found):
        raise MeasurementError(
            f"None of the {len(names)} recordings of the reference ({some_of(names, 3)}) is among those that turns "
            f"were found in ({some_of(list(found), 3)}). Are they called by other names?"
        )
    if unknown := sorted(set(found) - set(names)):
        warn(
            f"{len(unknown)} recordings are not in the reference, and are left out: {some_of(unknown, 3)}.",
            SonantWarning,
        )
    errors: list[DiarizationError] = []
    jaccard: list[float] = []
    for name in names:
        pair = reference.get(name, ()), found.get(name, ())
        spans = None if regions is None else regions[name]
        errors.append(diarization_error(*pair, collar_seconds=collar_seconds, skip_overlap=skip_overlap, regions=spans))
        shares = jaccard_errors(*pair, collar_seconds=collar_seconds, skip_overlap=skip_overlap, regions=spans)
        jaccard += shares.values()
    return error_rates(errors, jaccard) | {
        "speech_seconds": DiarizationError.total(errors).speech_seconds,
        "collar_seconds": collar_seconds,
        "skip_overlap": skip_overlap,
        "by_recording": {
            name: each.rate if each.speech_seconds > 0 else None for name, each in zip(names, errors, strict=True)
        },
    }


def by_name(found: Turns, names: Collection[str]) -> dict[str, Sequence[SpeakerTurn]]:
    """Return turns by the names of a reference, where they are called by these, or by paths that end with one.

    Of several such names the longest counts. Raises MeasurementError where two are of one recording.
    """
    called: dict[str, str] = {}  # name: what it is called in `found`
    for path in found:
        parts = path.split("/")
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        name = next((end for end in ends if end in names), path)
        if name in called:
            raise MeasurementError(
                f"The turns of {called[name]!r} and of {path!r} are both of {name!r} in the reference. "
                "Call recordings there by their paths."
            )
        called[name] = path
    return {name: found[path] for name, path in called.items()}


def error_rates(
    errors: Sequence[DiarizationError], jaccard: Sequence[float], groups: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return the rates of recordings together: `recordings`, `der`, its parts, and `jer`, as `score_diarization`.

    Args:
        errors: of each recording.
        jaccard: of each speaker of each recording.
        groups: of each recording, such as its speaker; they are drawn whole for the interval.

    Raises MeasurementError: no speech is scored.
    """
    total, speech = DiarizationError.total(errors), [each.speech_seconds for each in errors]
    rate = total.rate  # raises without speech
    return {
        "recordings": len(errors),
        "der": bootstrap_interval([each.error_seconds for each in errors], groups, weights=speech).around(rate),
        "missed": total.missed_seconds / total.speech_seconds,
        "false_alarm": total.false_alarm_seconds / total.speech_seconds,
        "confusion": total.confusion_seconds / total.speech_seconds,
        "jer": float(np.mean(jaccard)),
    }

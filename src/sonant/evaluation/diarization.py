"""Diarization errors: speech that is missed, made up, or assigned to the wrong speaker, by time and by speaker."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sonant.decoding.results import SpeakerTurn
from sonant.errors import MeasurementError

Span = tuple[float, float]


@dataclass(frozen=True)
class DiarizationError:
    """Seconds of error; where two speak at once, both count.

    Attributes:
        missed_seconds: speech in which no speaker was found.
        false_alarm_seconds: speakers found outside speech.
        confusion_seconds: speech was assigned to the wrong speaker.
        speech_seconds: of all speakers in the reference, the denominator of the rate.
    """

    missed_seconds: float
    false_alarm_seconds: float
    confusion_seconds: float
    speech_seconds: float

    @classmethod
    def total(cls, errors: Iterable["DiarizationError"]) -> "DiarizationError":
        """Add up the errors of recordings, whose rate is that of the corpus."""
        return cls(*map(float, np.array([astuple(each) for each in errors]).reshape(-1, 4).sum(0)))

    @property
    def error_seconds(self) -> float:
        """All seconds of error."""
        return self.missed_seconds + self.false_alarm_seconds + self.confusion_seconds

    @property
    def rate(self) -> float:
        """The diarization error rate (DER); may exceed 1 with many false alarms.

        Raises:
            MeasurementError: the reference has no speech that is scored.
        """
        if not self.speech_seconds > 0:
            raise MeasurementError(
                "The reference has no speech that is scored: no turns, or none outside of collars, of regions that "
                "are not scored, or of overlaps that are left out."
            )
        return self.error_seconds / self.speech_seconds


def diarization_error(
    reference: Sequence[SpeakerTurn],
    found: Sequence[SpeakerTurn],
    *,
    collar_seconds: float = 0.0,
    skip_overlap: bool = False,
    regions: Sequence[Span] | None = None,
) -> DiarizationError:
    """Compute the errors of hypothesized turns, with exact boundaries, for the optimal mapping of speakers.

    Args:
        reference: the true turns.
        found: the hypothesis; speakers may have other names.
        collar_seconds: on either side of each boundary of the reference, excluded from scoring. (The collar of
            pyannote.metrics is the sum of both sides.)
        skip_overlap: exclude where two or more speak in the reference.
        regions: starts and ends of what is scored, as in a UEM file; None: all of the recording.

    Turns of one speaker that overlap or touch are merged: their overlap counts once, and there is no collar where they
    meet. Empty turns are ignored. A reference without speech has false alarms alone, and no rate of its own.

    Raises:
        MeasurementError: a turn or region that ends before it begins, or never, or a negative collar.

    Source: NIST Rich Transcription 2009 evaluation plan; `md-eval`; turns are merged as by pyannote's `support`.
    """
    scored = _scored(reference, found, collar_seconds, skip_overlap, regions)
    spoke, told = scored.spoke.sum(1), scored.told.sum(1)  # (stretches,)
    mapped = scored.mapping.items()
    right = sum(float(scored.seconds @ (scored.spoke[:, row] & scored.told[:, column])) for row, column in mapped)
    return DiarizationError(
        float(scored.seconds @ np.maximum(spoke - told, 0)),
        float(scored.seconds @ np.maximum(told - spoke, 0)),
        max(0.0, float(scored.seconds @ np.minimum(spoke, told)) - right),
        float(scored.seconds @ spoke),
    )


def jaccard_errors(
    reference: Sequence[SpeakerTurn],
    found: Sequence[SpeakerTurn],
    *,
    collar_seconds: float = 0.0,
    skip_overlap: bool = False,
    regions: Sequence[Span] | None = None,
) -> dict[str, float]:
    """Compute the Jaccard error of each speaker of the reference who has speech that is scored.

    For a speaker and the one of the hypothesis that is mapped to them, it is the share of missed speech and false
    alarms in what either of the two says; 1 without one. The Jaccard error rate (JER) of a recording or a corpus is the
    mean over all speakers, each in each recording. Arguments and errors are those of `diarization_error`, and so is the
    mapping, as in pyannote.metrics; dscore maps speakers for the least JER, which may be lower.

    Source: Ryant et al., The Second DIHARD Diarization Challenge (arXiv 1906.07839).
    """
    scored = _scored(reference, found, collar_seconds, skip_overlap, regions)
    errors = {}
    for row, speaker in enumerate(scored.speakers):
        ours = scored.spoke[:, row]
        if scored.seconds @ ours > 0:
            column = scored.mapping.get(row)
            theirs = np.zeros_like(ours) if column is None else scored.told[:, column]
            errors[speaker] = float(scored.seconds @ (ours ^ theirs) / (scored.seconds @ (ours | theirs)))
    return errors


class _Scored(NamedTuple):
    """Stretches of constant activity that are scored.

    Attributes:
        seconds: float64 (stretches,).
        speakers: of the reference.
        spoke: bool (stretches, speakers), of the reference.
        told: bool (stretches, names), of the hypothesis.
        mapping: of numbers of speakers to numbers of names, with the most seconds in common.
    """

    seconds: NDArray[np.float64]
    speakers: list[str]
    spoke: NDArray[np.bool_]
    told: NDArray[np.bool_]
    mapping: Mapping[int, int]


def _scored(
    reference: Sequence[SpeakerTurn],
    found: Sequence[SpeakerTurn],
    collar: float,
    skip_overlap: bool,  # noqa: FBT001
    regions: Sequence[Span] | None,
) -> _Scored:
    from scipy.optimize import linear_sum_assignment

    if not 0 <= collar < np.inf:
        raise MeasurementError(f"collar_seconds={collar!r} was given; expected seconds, 0 or more.")
    reference, found = _merged(reference), _merged(found)
    spans = [(turn.start_seconds, turn.end_seconds) for turn in (*reference, *found)]
    edges = {time for turn in reference for time in (turn.start_seconds, turn.end_seconds)} if collar else set()
    hidden = [(edge - collar, edge + collar) for edge in edges]
    if regions is not None and (wrong := [span for span in regions if not -np.inf < span[0] <= span[1] < np.inf]):
        raise MeasurementError(
            f"The region {wrong[0]} ends before it begins, or never; expected its start and its end, in seconds."
        )
    times = np.unique(np.array([*spans, *hidden, *(regions or ())], dtype=np.float64))
    speakers, spoke = _activity(reference, times)
    _, told = _activity(found, times)
    kept = ~_covered(hidden, times) & (np.array(True) if regions is None else _covered(regions, times))
    if skip_overlap:
        kept = kept & (spoke.sum(1) < 2)
    seconds, spoke, told = np.diff(times)[kept], spoke[kept], told[kept]
    together = (spoke * seconds[:, None]).T @ told  # (speakers, names)
    rows, columns = linear_sum_assignment(-together)
    mapping = {int(row): int(column) for row, column in zip(rows, columns, strict=True)}
    return _Scored(seconds, speakers, spoke, told, mapping)


def _activity(turns: Sequence[SpeakerTurn], times: NDArray[np.float64]) -> tuple[list[str], NDArray[np.bool_]]:
    """Return the speakers, and whether each speaks between two times, bool (times - 1, speakers)."""
    speakers = sorted({turn.speaker for turn in turns})
    columns = [
        _covered([(turn.start_seconds, turn.end_seconds) for turn in turns if turn.speaker == speaker], times)
        for speaker in speakers
    ]
    empty = np.zeros((max(0, len(times) - 1), 0), dtype=bool)
    return speakers, np.stack(columns, axis=1) if columns else empty


def _covered(spans: Sequence[Span], times: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether the stretches between times lie in a span; the ends of spans are among the times."""
    found = np.zeros(max(0, len(times) - 1), dtype=bool)
    for start, end in spans:
        found[np.searchsorted(times, start) : np.searchsorted(times, end)] = True
    return found


def _merged(turns: Sequence[SpeakerTurn]) -> list[SpeakerTurn]:
    """Merge the turns of each speaker, in order."""
    merged: list[SpeakerTurn] = []
    for turn in sorted(turns, key=lambda turn: (turn.speaker, turn.start_seconds)):
        start, end = turn.start_seconds, turn.end_seconds
        if not -np.inf < start <= end < np.inf:
            raise MeasurementError(
                f"A turn of {turn.speaker!r} begins at {start} s and ends at {end} s. A turn ends after it begins, "
                "at a time; perhaps its duration was read as its end, as RTTM gives the start and the duration."
            )
        if merged and merged[-1].speaker == turn.speaker and start <= merged[-1].end_seconds:
            merged[-1] = replace(merged[-1], end_seconds=max(merged[-1].end_seconds, end))
        elif start < end:
            merged.append(turn)
    return merged

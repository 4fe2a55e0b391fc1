"""Diarization: how much of the speech is missed, made up, or given to the wrong speaker."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from sonant.decoding.results import SpeakerTurn
from sonant.errors import MeasurementError


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

    @property
    def rate(self) -> float:
        """The diarization error rate; may exceed 1 with many false alarms."""
        return (self.missed_seconds + self.false_alarm_seconds + self.confusion_seconds) / self.speech_seconds


def diarization_error(
    reference: Sequence[SpeakerTurn], found: Sequence[SpeakerTurn], *, collar_seconds: float = 0.0
) -> DiarizationError:
    """Compute the errors of hypothesized turns, with exact boundaries, for the optimal mapping of speakers.

    Args:
        reference: the true turns.
        found: the hypothesis; speakers may have other names.
        collar_seconds: on either side of each boundary of the reference, excluded from scoring.

    Turns of one speaker that overlap or touch are merged: their overlap counts once, and there is no collar where they
    meet. Empty turns are ignored.

    Raises:
        MeasurementError: no scored speech in the reference, or a turn that ends before it begins.

    Source: NIST Rich Transcription 2009 evaluation plan; `md-eval`; turns are merged as by pyannote's `support`.
    """
    from scipy.optimize import linear_sum_assignment

    reference, found = _merged(reference), _merged(found)
    stretches = list(_stretches(reference, found, collar_seconds))
    speakers = sorted({turn.speaker for turn in reference})
    names = sorted({turn.speaker for turn in found})
    together = np.zeros((len(speakers), len(names)))
    for seconds, spoke, told in stretches:
        for speaker in spoke:
            for name in told:
                together[speakers.index(speaker), names.index(name)] += seconds
    name_of = {speakers[row]: names[column] for row, column in zip(*linear_sum_assignment(-together), strict=True)}
    missed = false_alarm = confusion = speech = 0.0
    for seconds, spoke, told in stretches:
        right = sum(name_of.get(speaker) in told for speaker in spoke)
        missed += seconds * max(0, len(spoke) - len(told))
        false_alarm += seconds * max(0, len(told) - len(spoke))
        confusion += seconds * (min(len(spoke), len(told)) - right)
        speech += seconds * len(spoke)
    if not speech > 0:
        raise MeasurementError(
            "The reference has no speech that is scored: no turns, or none longer than the collars at its ends."
        )
    return DiarizationError(missed, false_alarm, confusion, speech)


def _merged(turns: Sequence[SpeakerTurn]) -> list[SpeakerTurn]:
    """Merge the turns of each speaker, in order."""
    merged: list[SpeakerTurn] = []
    for turn in sorted(turns, key=lambda turn: (turn.speaker, turn.start_seconds)):
        start, end = turn.start_seconds, turn.end_seconds
        if not start <= end:
            raise MeasurementError(
                f"A turn of {turn.speaker!r} begins at {start} s and ends at {end} s. A turn ends after it begins; "
                "perhaps its duration was read as its end, as RTTM gives the start and the duration."
            )
        if merged and merged[-1].speaker == turn.speaker and start <= merged[-1].end_seconds:
            merged[-1] = replace(merged[-1], end_seconds=max(merged[-1].end_seconds, end))
        elif start < end:
            merged.append(turn)
    return merged


def _stretches(
    reference: Sequence[SpeakerTurn], found: Sequence[SpeakerTurn], collar: float
) -> Iterator[tuple[float, frozenset[str], frozenset[str]]]:
    """Yield intervals of constant activity, without collars: seconds, speakers of the reference, speakers found."""
    edges = {turn.start_seconds for turn in reference} | {turn.end_seconds for turn in reference}
    hidden = [(edge - collar, edge + collar) for edge in edges] if collar > 0 else []
    times = sorted(
        {time for turn in (*reference, *found) for time in (turn.start_seconds, turn.end_seconds)}
        | {time for span in hidden for time in span}
    )
    for start, end in pairwise(times):
        middle = (start + end) / 2
        if not any(first < middle < last for first, last in hidden):
            yield end - start, _speaking(reference, middle), _speaking(found, middle)


def _speaking(turns: Sequence[SpeakerTurn], time: float) -> frozenset[str]:
    return frozenset(turn.speaker for turn in turns if turn.start_seconds < time < turn.end_seconds)

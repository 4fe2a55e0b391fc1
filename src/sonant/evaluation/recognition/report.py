"""The report of an evaluation of speech recognition: of one system, or of two on the same recordings."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Literal, get_args

from sonant.errors import MeasurementError, UnknownName
from sonant.evaluation.bootstrap import PairedComparison, compare_paired
from sonant.evaluation.edits import AlignedPair
from sonant.evaluation.error_rates import align_texts
from sonant.evaluation.recognition.scores import (
    UNITS,
    Confusion,
    ErrorRate,
    Metric,
    MetricErrors,
    confusions,
    metric_errors,
    score,
)

Scores = Mapping[Metric, ErrorRate]
LENGTHS = (0.0, 2.0, 5.0, 10.0, 20.0)  # seconds, where groups of recordings begin
NO_VALUE = "(none)"  # of a field
LEAST_SPEAKERS = 6  # to compare systems by: fewer have no p value below 0.05, of which the least is 2 / 2^speakers


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """A recording, or a segment of one, with its reference.

    Attributes:
        name: for the reader.
        reference: the right text.
        seconds: its length, if known.
        speaker: its speaker, if known.
        fields: values by which it is grouped, such as gender.
    """

    name: str
    reference: str
    seconds: float | None = None
    speaker: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SystemResult:
    """Results of one system.

    Attributes:
        name: of the system.
        hypotheses: text of each utterance.
        totals: score of all utterances by metric.
        groups: scores by field ("speaker", "length" in seconds, and others) and value.
        confusions: of the first metric, most frequent first, by kind: "substitution", "deletion", "insertion".
        alignments: of the first metric, of each utterance.
        errors: of each utterance, by metric.
    """

    name: str
    hypotheses: Sequence[str]
    totals: Scores
    groups: Mapping[str, Mapping[str, Scores]]
    confusions: Mapping[str, Sequence[Confusion]]
    alignments: Sequence[Sequence[AlignedPair]]
    errors: Mapping[Metric, MetricErrors]


@dataclass(frozen=True, kw_only=True)
class RecognitionReport:
    """Results of one or two systems on the same utterances.

    Attributes:
        metrics: the first is that of confusions, alignments and the order of recordings.
        systems: one or two.
        comparison: the second system against the first, by metric; empty for one system.
        compared_by: groups that were resampled and exchanged in the comparison: "speakers", if there are six or more,
            or "recordings".
        settings: of the evaluation, for the record.
        speakers: number of speakers; None if some are unknown.
    """

    metrics: Sequence[Metric]
    utterances: Sequence[Utterance]
    systems: Sequence[SystemResult]
    comparison: Mapping[Metric, PairedComparison]
    compared_by: Literal["speakers", "recordings"]
    settings: Mapping[str, Any]
    speakers: int | None

    def worst(self, count: int) -> list[int]:
        """Return the numbers of the utterances with most errors of any system by the first metric, most first."""
        found = [system.errors[self.metrics[0]] for system in self.systems]

        def badness(number: int) -> tuple[float, float]:
            errors = max(each.errors[number] for each in found)
            return errors, errors / max(1.0, found[0].lengths[number])

        ranked = sorted(range(len(self.utterances)), key=badness, reverse=True)
        return [number for number in ranked[:count] if badness(number)[0] > 0]

    def to_json(self, *, recordings: bool = True) -> dict[str, Any]:
        """Return the report as JSON holds it; `recordings`: with a row for each utterance."""
        report = {
            "task": "asr",
            "settings": dict(self.settings),
            "utterances": len(self.utterances),
            "speakers": self.speakers,
            "seconds": sum(each.seconds or 0.0 for each in self.utterances),
            "systems": [
                {
                    "name": system.name,
                    "totals": {metric: asdict(each) for metric, each in system.totals.items()},
                    "groups": {
                        name: {
                            value: {metric: asdict(each) for metric, each in scores.items()}
                            for value, scores in group.items()
                        }
                        for name, group in system.groups.items()
                    },
                    "confusions": {kind: list(map(asdict, each)) for kind, each in system.confusions.items()},
                }
                for system in self.systems
            ],
            "comparison": {metric: asdict(each) for metric, each in self.comparison.items()},
            "compared_by": self.compared_by,
        }
        if recordings:
            report["recordings"] = list(map(self._recording, range(len(self.utterances))))
        return report

    def _recording(self, number: int) -> dict[str, Any]:
        utterance = self.utterances[number]
        systems = []
        for system in self.systems:
            row: dict[str, Any] = {"hypothesis": system.hypotheses[number]}
            for metric, found in system.errors.items():
                row[metric] = {"errors": float(found.errors[number]), "length": int(found.lengths[number])}
                row[metric] |= asdict(found.counts[number]) if found.counts is not None else {}
            systems.append(row)
        return {**asdict(utterance), "systems": systems}


def evaluate_recognition(
    utterances: Sequence[Utterance],
    hypotheses: Mapping[str, Sequence[str]],
    *,
    metrics: Sequence[Metric] = ("wer", "cer"),
    resamples: int = 1000,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> RecognitionReport:
    """Measure the texts of one system, or of two on the same utterances.

    Args:
        utterances: the recordings with their references.
        hypotheses: texts of each system by its name, in the order of the utterances; the second is compared with the
            first.
        metrics: "wer", "cer", "per" (phones separated by spaces), "pfer" (see `phone_feature_errors`).
        resamples: of the bootstrap.
        settings: noted in the report.

    Raises:
        MeasurementError: no references, more or fewer texts than utterances, or other than one or two systems.
        UnknownName: no such metric.
        MissingExtra: "pfer" without PanPhon.
    """
    wrong = [metric for metric in metrics if metric not in get_args(Metric)]
    if wrong or not metrics:
        raise UnknownName("metric of recognition", wrong[0] if wrong else "", get_args(Metric))
    if not 1 <= len(hypotheses) <= 2:
        raise MeasurementError(f"Texts of {len(hypotheses)} systems were given; expected one, or two to compare.")
    if not any(utterance.reference.strip() for utterance in utterances):
        raise MeasurementError(
            f"The references of the {len(utterances)} recordings are all empty: an error rate is errors per word."
        )
    known = [utterance.speaker for utterance in utterances if utterance.speaker is not None]
    speakers = known if len(known) == len(utterances) else None
    grouped = _groups(utterances)
    systems = []
    for name, texts in hypotheses.items():
        references = [utterance.reference for utterance in utterances]
        errors = {metric: metric_errors(metric, references, texts) for metric in metrics}

        def scores(which: Sequence[int], errors: Mapping[Metric, MetricErrors] = errors) -> Scores:
            return {
                metric: score(found, which, speakers, resamples=resamples, seed=seed)
                for metric, found in errors.items()
            }

        alignments = align_texts(references, texts, unit=UNITS[metrics[0]])
        systems.append(
            SystemResult(
                name=name,
                hypotheses=tuple(texts),
                totals=scores(range(len(utterances))),
                groups={
                    group: {value: scores(which) for value, which in values.items()}
                    for group, values in grouped.items()
                },
                confusions=confusions(alignments),
                alignments=alignments,
                errors=errors,
            )
        )
    several = speakers if len(set(speakers or ())) >= LEAST_SPEAKERS else None
    comparison = {}
    if len(systems) == 2:
        for metric in metrics:
            first, second = (system.errors[metric] for system in systems)
            comparison[metric] = compare_paired(
                first.errors, second.errors, several, weights=first.lengths, resamples=resamples, seed=seed
            )
    return RecognitionReport(
        metrics=tuple(metrics),
        utterances=tuple(utterances),
        systems=tuple(systems),
        comparison=comparison,
        compared_by="recordings" if several is None else "speakers",
        settings=settings or {},
        speakers=None if speakers is None else len(set(speakers)),
    )


def _groups(utterances: Sequence[Utterance]) -> dict[str, dict[str, list[int]]]:
    """Return the numbers of utterances by field and value; a field of which all have one value is left out."""
    fields = list(dict.fromkeys(name for utterance in utterances for name in utterance.fields))
    columns = {
        "speaker": [utterance.speaker for utterance in utterances],
        "length": [None if each.seconds is None else _length(each.seconds) for each in utterances],
        **{name: [utterance.fields.get(name) for utterance in utterances] for name in fields},
    }
    groups: dict[str, dict[str, list[int]]] = {}
    for name, values in columns.items():
        if name not in fields and (all(value is None for value in values) or len(set(values)) == 1):
            continue
        members: dict[str, list[int]] = {}
        for number, value in enumerate(values):
            members.setdefault(value or NO_VALUE, []).append(number)
        lengths = [*map(_length, LENGTHS), NO_VALUE]
        order = lengths if name == "length" and name not in fields else sorted(members)
        groups[name] = {value: members[value] for value in order if value in members}
    return groups


def _length(seconds: float) -> str:
    """Return the group of recordings of this length."""
    for start, end in pairwise(LENGTHS):
        if seconds < end:
            return f"{start:g} to {end:g} s"
    return f"{LENGTHS[-1]:g} s or more"

"""Scores of one system: errors of each utterance by metric, rates of groups with intervals, and confusions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from sonant.evaluation.bootstrap import bootstrap_interval
from sonant.evaluation.edits import AlignedPair
from sonant.evaluation.error_rates import ErrorCounts, TextUnit, align_texts
from sonant.evaluation.phone_features import phone_feature_errors

Metric = Literal["wer", "cer", "per", "pfer"]
UNITS: dict[Metric, TextUnit] = {"wer": "word", "cer": "character", "per": "phone", "pfer": "phone"}
MOST_CONFUSIONS = 100  # of each kind
Floats = npt.NDArray[np.float64]


class MetricErrors(NamedTuple):
    """Errors of each utterance: their number or cost, the units of the reference, and counts by kind (not of PFER)."""

    errors: Floats  # (utterances,)
    lengths: Floats  # (utterances,)
    counts: Sequence[ErrorCounts] | None


@dataclass(frozen=True, kw_only=True)
class ErrorRate:
    """An error rate over utterances.

    Attributes:
        rate: errors over units of the references; None if these are all empty.
        low, high: 95 % bootstrap interval over speakers, or over utterances where speakers are unknown or one; None
            for a single one.
        errors: number of errors; for PFER their cost.
        length: units of the references.
        counts: errors by kind; None for PFER.
    """

    rate: float | None
    low: float | None
    high: float | None
    errors: float
    length: int
    utterances: int
    counts: ErrorCounts | None


@dataclass(frozen=True)
class Confusion:
    """An error that occurs several times.

    Attributes:
        reference, hypothesis: the unit of each; None for nothing.
        count: number of times.
        occurrences: number of times that the unit is in the references; of an insertion, 0 if it never is.
    """

    reference: str | None
    hypothesis: str | None
    count: int
    occurrences: int


def metric_errors(metric: Metric, references: Sequence[str], hypotheses: Sequence[str]) -> MetricErrors:
    """Compute the errors of each utterance by one metric."""
    if metric == "pfer":
        found = phone_feature_errors(references, hypotheses)
        return MetricErrors(np.array([each.errors for each in found]), np.array([each.length for each in found]), None)
    counts = [ErrorCounts.of(steps) for steps in align_texts(references, hypotheses, unit=UNITS[metric])]
    errors, lengths = ([getattr(each, name) for each in counts] for name in ("errors", "length"))
    return MetricErrors(np.array(errors, dtype=np.float64), np.array(lengths, dtype=np.float64), counts)


def score(
    found: MetricErrors, which: Sequence[int], speakers: Sequence[str] | None, *, resamples: int, seed: int
) -> ErrorRate:
    """Compute the error rate of the utterances of these numbers; `speakers` of all, or None if they are unknown."""
    rows = np.asarray(which, dtype=np.int64)
    errors, lengths = found.errors[rows], found.lengths[rows]
    groups = None if speakers is None else [speakers[row] for row in which]
    if groups is None or len(set(groups)) == 1:
        groups = [str(row) for row in which]
    low = high = None
    if lengths.sum() > 0 and len(set(groups)) > 1:
        low, high = bootstrap_interval(errors, groups, weights=lengths, resamples=resamples, seed=seed)
    counts = None if found.counts is None else sum((found.counts[row] for row in which), ErrorCounts())
    return ErrorRate(
        rate=float(errors.sum() / lengths.sum()) if lengths.sum() > 0 else None,
        low=low,
        high=high,
        errors=float(errors.sum()),
        length=int(lengths.sum()),
        utterances=len(rows),
        counts=counts,
    )


def confusions(alignments: Sequence[Sequence[AlignedPair]]) -> dict[str, list[Confusion]]:
    """Return the most frequent substitutions, deletions and insertions."""
    steps = Counter(step for alignment in alignments for step in alignment)
    occurrences: Counter[str] = Counter()
    for step, count in steps.items():
        if step.reference is not None:
            occurrences[step.reference] += count
    found: dict[str, list[Confusion]] = {"substitution": [], "deletion": [], "insertion": []}
    for step, count in sorted(steps.items(), key=lambda item: (-item[1], item[0][0] or "", item[0][1] or "")):
        if step.kind != "hit" and len(of_kind := found[step.kind]) < MOST_CONFUSIONS:
            of_kind.append(Confusion(*step, count, occurrences[step.reference or step.hypothesis or ""]))
    return found

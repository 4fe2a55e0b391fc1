"""Accuracy and macro F1 of labels, with bootstrap intervals, and the confusion matrix."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sonant.errors import MeasurementError
from sonant.evaluation.resampling import interval_of, resampled_totals

Floats = npt.NDArray[np.float64]


def score_labels(
    predicted: npt.ArrayLike, actual: npt.ArrayLike, classes: Sequence[str], groups: Sequence[str] | None = None
) -> dict[str, Any]:
    """Score predicted classes (recordings,) against the actual ones, both as numbers of `classes`.

    Args:
        groups: of each recording, such as its speaker; they are drawn whole in the bootstrap.

    Returns:
        JSON values: `recordings`, their number; `accuracy` and `macro_f1`, each with `value`, and `low` and `high` of
        a 95 % interval; `confusion` with the `labels`, and `counts` by actual (rows) and predicted label (columns).
        Macro F1 is the mean over the classes that occur or were predicted, as in scikit-learn.

    Raises:
        MeasurementError: shapes differ, there are no recordings, or numbers are of no class.
    """
    ours, theirs = _numbers_of(predicted, len(classes)), _numbers_of(actual, len(classes))
    if ours.shape != theirs.shape:
        raise MeasurementError(
            f"{len(ours)} predicted classes and {len(theirs)} actual ones were given; expected one of each for a "
            "recording."
        )
    one_hot = np.eye(len(classes))
    hits = (ours == theirs)[:, None]
    counts = np.concatenate([one_hot[theirs] * hits, one_hot[ours], one_hot[theirs]], axis=1)  # (recordings, 3 classes)
    totals = resampled_totals(counts, groups)
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(confusion, (theirs, ours), 1)
    return {
        "recordings": len(ours),
        **{
            name: interval_of(measure(totals)).around(measure(counts.sum(0)[None])[0])
            for name, measure in (("accuracy", _accuracy), ("macro_f1", macro_f1))
        },
        "confusion": {"labels": list(classes), "counts": confusion.tolist()},
    }


def score_counts(counts: Floats, classes: Sequence[str], groups: Sequence[str] | None = None) -> dict[str, Any]:
    """Score predictions of several classes at once, such as of frames or of recordings with several labels.

    Args:
        counts: (recordings, 3 classes): correct, predicted and actual ones of each class.
        groups: of each recording, as in `score_labels`.

    Returns:
        JSON values: `recordings`; `macro_f1` with `value`, `low` and `high`; and for each of `classes` its `precision`,
        `recall` and `f1`, null where nothing was predicted, or there is none.
    """
    correct, predicted, actual = np.split(counts.sum(0), 3)

    def share(part: float, whole: float) -> float | None:
        return float(part / whole) if whole else None

    totals = resampled_totals(counts, groups)
    return {
        "recordings": len(counts),
        "macro_f1": interval_of(macro_f1(totals)).around(float(macro_f1(counts.sum(0)))),
        "classes": {
            name: {
                "precision": share(correct[number], predicted[number]),
                "recall": share(correct[number], actual[number]),
                "f1": share(2 * correct[number], predicted[number] + actual[number]),
            }
            for number, name in enumerate(classes)
        },
    }


def average_precision(scores: npt.ArrayLike, actual: npt.ArrayLike) -> Floats:
    """Compute the average precision of each class (classes,); NaN for one without recordings.

    The mean over the recordings of the class of the precision among all that score as high or higher, as in
    scikit-learn, without interpolation.

    Args:
        scores: (recordings, classes), higher for more likely.
        actual: bool (recordings, classes).

    Raises:
        MeasurementError: shapes differ, or scores are not finite.
    """
    values, right = np.asarray(scores, dtype=np.float64), np.asarray(actual, dtype=bool)
    if values.shape != right.shape or values.ndim != 2 or not np.isfinite(values).all():
        raise MeasurementError(
            f"Scores of shape {values.shape} and labels of shape {right.shape} were given; expected (recordings, "
            "classes) of both, and finite scores."
        )
    found = np.full(values.shape[1], np.nan)
    for number, (column, wanted) in enumerate(zip(values.T, right.T, strict=True)):
        order = np.argsort(-column, kind="stable")
        ranked, hits = column[order], np.cumsum(wanted[order])
        last = np.searchsorted(-ranked, -ranked, side="right")  # recordings that score as high or higher
        if hits.size and hits[-1]:
            found[number] = (hits[last - 1] / last)[wanted[order]].mean()
    return found


def macro_f1(counts: Floats) -> Floats:
    """Compute the mean F1 score of the classes that occur or were predicted: (...,).

    Args:
        counts: (..., 3 classes): correct, predicted and actual recordings of each class.
    """
    correct, predicted, actual = np.split(counts, 3, axis=-1)
    either = predicted + actual
    scores = 2 * correct / np.maximum(either, 1)
    return np.asarray(scores.sum(-1) / np.maximum((either > 0).sum(-1), 1))


def _numbers_of(labels: npt.ArrayLike, count: int) -> npt.NDArray[np.int64]:
    """Return labels (recordings,) that are numbers of classes. Raises MeasurementError."""
    given = np.asarray(labels)
    is_number = given.ndim == 1 and (not given.size or np.issubdtype(given.dtype, np.integer))
    if not is_number or (given.size and not 0 <= given.min() <= given.max() < count):
        raise MeasurementError(
            f"{given.tolist()!r:.80} was given as the labels of recordings; expected a whole number for each, 0 to "
            f"{count - 1}, of {count} classes."
        )
    return given.astype(np.int64)


def _accuracy(counts: Floats) -> Floats:
    correct, _, actual = np.split(counts, 3, axis=-1)
    return np.asarray(correct.sum(-1) / actual.sum(-1))

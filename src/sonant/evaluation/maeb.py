"""The protocols of MAEB on vectors: classification from few clips, clustering and pairs.

Source: mteb 2.26 (`AbsTaskClassification`, `AbsTaskClustering`, `AbsTaskPairClassification`), arXiv 2602.16008. The
draws are those of mteb, with its seed, so that equal vectors give equal scores. Needs scikit-learn, as mteb does.
"""

import random
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from sonant.errors import MeasurementError, MissingExtra
from sonant.evaluation.label_scores import average_precision, macro_f1
from sonant.evaluation.resampling import interval_of, resampled_totals
from sonant.evaluation.vectors import Standardizer

Floats = npt.NDArray[np.floating]
Integers = npt.NDArray[np.int64]
Kind = Literal["classification", "clustering", "pairs"]

SEED = 42
CLIPS_A_LABEL = 8
EXPERIMENTS = 10
FOLDS = 5
MAX_ITER = 100  # of the logistic regression
CLUSTERED = 16_384  # clips that are drawn for a clustering, with replacement
KMEANS_BATCH = 512
RESAMPLES = 1000


class LabeledVectors(NamedTuple):
    """Vectors of recordings.

    Attributes:
        vectors: float32 (recordings, dim).
        labels: of each recording.
        groups: of each recording, such as its speaker, by which intervals are drawn; None: each by itself.
    """

    vectors: Floats
    labels: Sequence[str]
    groups: Sequence[str] | None = None


@dataclass(frozen=True)
class MaebScores:
    """Scores of one protocol.

    Attributes:
        main: name of the measure that MAEB ranks by.
        measures: JSON values by name: `value`, and `low` and `high` of a 95 % interval, None where there is none.
        experiments: the main measure of each experiment, of which `value` is the mean.
        unconverged: number of regressions that stopped at `MAX_ITER` steps.
    """

    main: str
    measures: dict[str, dict[str, float | None]]
    experiments: tuple[float, ...]
    unconverged: int = 0

    @property
    def value(self) -> float:
        """The main measure."""
        value = self.measures[self.main]["value"]
        assert value is not None
        return value

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "main": self.main,
            "measures": self.measures,
            "experiments": list(self.experiments),
            "unconverged": self.unconverged,
        }


class _Fold(NamedTuple):
    """One experiment: rows that are learned from and rows that are predicted, and their vectors and labels."""

    train: LabeledVectors
    chosen: Sequence[int]
    test: LabeledVectors
    tested: Integers


def few_shot_classification(train: LabeledVectors, test: LabeledVectors, *, standardize: bool = False) -> MaebScores:
    """Measure logistic regressions that learn from 8 clips of each label, in 10 draws: `accuracy` and `f1` (macro).

    The interval is of the mean over the draws, for other test recordings; draws are not resampled.

    Args:
        standardize: scale each dimension by mean and deviation of the clips that are learned from. mteb does not.

    Raises:
        MeasurementError: fewer than two labels to learn, or no recordings.
        MissingExtra: scikit-learn is not installed.
    """
    everything = np.arange(len(test.labels))
    order = list(range(len(train.labels)))
    folds = (_Fold(train, _draw(train.labels, order), test, everything) for _ in range(EXPERIMENTS))
    return _classification(folds, test.labels, train.labels, test.groups, standardize=standardize)


def cross_validated_classification(data: LabeledVectors, *, standardize: bool = False) -> MaebScores:
    """Measure as `few_shot_classification` in 5 folds, each learned from 8 clips a label of the other folds.

    MAEB does so where a corpus has no split; folds know no speakers.
    """
    labels = np.asarray(data.labels)
    shuffled = np.arange(len(labels))
    np.random.RandomState(SEED).shuffle(shuffled)
    order: list[int] = []

    def folds() -> Iterator[_Fold]:
        for part in np.array_split(shuffled, FOLDS):
            tested = np.sort(part)
            others = np.setdiff1d(np.arange(len(labels)), tested)
            if not order:
                order.extend(range(len(others)))
            names = labels[others].tolist()
            yield _Fold(LabeledVectors(data.vectors[others], names), _draw(names, order), data, tested)

    if len(labels) < FOLDS:
        raise MeasurementError(f"{len(labels)} recordings were given; expected one for each of {FOLDS} folds, or more.")
    return _classification(folds(), data.labels, data.labels, data.groups, standardize=standardize)


def clustering(data: LabeledVectors) -> MaebScores:
    """Measure k-means clusters, as many as labels: `v_measure`, the mean of 10 draws of 16,384 clips with replacement.

    Raises MeasurementError for fewer than two recordings, MissingExtra if scikit-learn is not installed.
    """
    _need_scikit_learn("Clustering")
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.metrics.cluster import v_measure_score

    if len(data.labels) < 2:
        raise MeasurementError(f"{len(data.labels)} recordings were given; clustering needs two or more.")
    names, labels = np.unique(np.asarray(data.labels), return_inverse=True)
    model = MiniBatchKMeans(
        n_clusters=len(names), batch_size=KMEANS_BATCH, init="k-means++", n_init=1, random_state=SEED
    )
    draws = random.Random(SEED)  # noqa: S311 - the generator of mteb
    found = []
    for _ in range(EXPERIMENTS):
        rows = draws.choices(range(len(labels)), k=CLUSTERED)
        found.append(float(v_measure_score(labels[rows], model.fit_predict(data.vectors[rows]))))
    measures = {"v_measure": {"value": float(np.mean(found)), "low": None, "high": None}}
    return MaebScores("v_measure", measures, tuple(found))


def pair_classification(first: Floats, second: Floats, same: npt.ArrayLike) -> MaebScores:
    """Measure how well a similarity tells pairs of one label from others: `max_ap`, and the average precision of each.

    The similarities are cosine, dot product, and the negative Manhattan and Euclidean distances; `max_ap` is the best
    of the four. Its interval is of that one, for other pairs.

    Args:
        first, second: vectors (pairs, dim).
        same: whether both have the same label (pairs,).
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    wanted = np.asarray(same, dtype=bool)
    if one.shape != other.shape or len(one) != len(wanted) or wanted.all() or not wanted.any():
        raise MeasurementError(
            f"Vectors of shapes {one.shape} and {other.shape} were given for {len(wanted)} pairs, {int(wanted.sum())} "
            "of them of one label; expected as many of each, and pairs of both kinds."
        )
    similarities = {
        "cosine": -np.square(_directions(one) - _directions(other)).sum(1),  # 2 cosine - 2
        "dot": np.einsum("pd,pd->p", one, other),
        "manhattan": -np.abs(one - other).sum(1),
        "euclidean": -np.sqrt(np.square(one - other).sum(1)),
    }
    found = {name: float(average_precision(each[:, None], wanted[:, None])[0]) for name, each in similarities.items()}
    best = max(found, key=found.__getitem__)
    generator = np.random.default_rng(0)
    resampled = []
    for _ in range(RESAMPLES):
        rows = generator.integers(len(wanted), size=len(wanted))
        if wanted[rows].any():
            resampled.append(average_precision(similarities[best][rows, None], wanted[rows, None])[0])
    measures: dict[str, dict[str, float | None]] = {
        "max_ap": dict(interval_of(np.array(resampled)).around(found[best])),
        **{f"{name}_ap": {"value": value, "low": None, "high": None} for name, value in found.items()},
    }
    return MaebScores("max_ap", measures, (found[best],))


def drawn_pairs(labels: Sequence[str]) -> tuple[Integers, npt.NDArray[np.bool_]]:
    """Draw for each recording one other of its label and one of another label: rows (pairs, 2), and whether the same.

    MAEB's corpora come with lists of pairs; a manifest does not.
    """
    names = np.asarray(labels)
    generator = np.random.default_rng(SEED)
    pairs, same = [], []
    for row, name in enumerate(names):
        alike = np.flatnonzero(names == name)
        for others, is_same in ((alike[alike != row], True), (np.flatnonzero(names != name), False)):
            if len(others):
                pairs.append((row, int(generator.choice(others))))
                same.append(is_same)
    return np.array(pairs, np.int64).reshape(-1, 2), np.array(same, bool)


def _draw(labels: Sequence[str], order: list[int]) -> list[int]:
    """Shuffle `order` in place, and return the first 8 rows of each label in it.

    mteb starts the generator again for each draw, and shuffles the order that the draw before left.
    """
    np.random.RandomState(SEED).shuffle(order)
    counts: Counter[str] = Counter()
    chosen = []
    for row in order:
        if counts[labels[row]] < CLIPS_A_LABEL:
            chosen.append(row)
            counts[labels[row]] += 1
    return chosen


def _classification(
    folds: Iterator[_Fold],
    labels: Sequence[str],
    learnable: Sequence[str],
    groups: Sequence[str] | None,
    *,
    standardize: bool,
) -> MaebScores:
    """Fit and score each experiment; the measures are means over them."""
    names = sorted({*labels, *learnable})
    if len(set(learnable)) < 2 or not len(labels):
        raise MeasurementError(
            f"{len(labels)} recordings were given to predict, and {len(set(learnable))} labels to learn; expected one "
            "recording and two labels, or more."
        )
    number = {name: place for place, name in enumerate(names)}
    truth = np.array([number[label] for label in labels])
    counts, unconverged = [], 0
    for train, chosen, test, tested in folds:
        targets = np.array([number[train.labels[row]] for row in chosen])
        predicted, converged = _predicted(train.vectors[chosen], targets, test.vectors[tested], standardize=standardize)
        counts.append(_counts(predicted, truth[tested], tested, len(labels), len(names)))
        unconverged += not converged
    per_recording = np.stack(counts, axis=1)  # (recordings, experiments, 3 classes)
    shape = per_recording.shape[1:]
    totals = resampled_totals(per_recording.reshape(len(labels), -1), groups, resamples=RESAMPLES).reshape(-1, *shape)
    whole = per_recording.sum(0)
    measures = {
        name: dict(interval_of(measure(totals).mean(-1)).around(measure(whole).mean()))
        for name, measure in (("accuracy", _accuracy), ("f1", macro_f1))
    }
    return MaebScores("accuracy", measures, tuple(_accuracy(whole).tolist()), unconverged)  # type: ignore[arg-type]


def _predicted(train: Floats, targets: Integers, test: Floats, *, standardize: bool) -> tuple[Integers, bool]:
    """Fit a logistic regression; return the predictions (recordings,), and whether it converged."""
    _need_scikit_learn("Classification by MAEB's protocol")
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if standardize:
        standardizer = Standardizer.fit(train)
        train, test = standardizer(train), standardizer(test)
    model = LogisticRegression(max_iter=MAX_ITER, random_state=SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(train, targets)
    return model.predict(test), int(np.max(model.n_iter_)) < MAX_ITER


def _counts(predicted: Integers, truth: Integers, tested: Integers, recordings: int, classes: int) -> Floats:
    """Return correct, predicted and actual ones of each class (recordings, 3 classes); zero for rows not tested."""
    one_hot = np.eye(classes)
    counts = np.zeros((recordings, 3 * classes))
    hits = (predicted == truth)[:, None]
    counts[tested] = np.concatenate([one_hot[truth] * hits, one_hot[predicted], one_hot[truth]], axis=1)
    return counts


def _accuracy(counts: Floats) -> Floats:
    correct, _, actual = np.split(counts, 3, axis=-1)
    return np.asarray(correct.sum(-1) / np.maximum(actual.sum(-1), 1))


def _directions(vectors: Floats) -> Floats:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1))


def _need_scikit_learn(purpose: str) -> None:
    from importlib.util import find_spec

    if find_spec("sklearn") is None:
        raise MissingExtra("scikit-learn", extra="eval", purpose=purpose)

"""Ridge regression of a number of each frame or recording, and the share of its variance that is explained.

Features and target are standardized on the training rows; the strength of the penalty is chosen on development rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sonant.analysis.layer_report import Estimate
from sonant.errors import MeasurementError
from sonant.evaluation.resampling import interval_of, resampled_totals
from sonant.evaluation.vectors import Standardizer

Floats = npt.NDArray[np.floating]
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)  # times the number of training rows


@dataclass(frozen=True, eq=False)
class Numbered:
    """Rows with a number each.

    Attributes:
        features: (rows, dim).
        target: (rows,).
        groups: of each row, such as its speaker, drawn whole in the bootstrap.
    """

    features: Floats
    target: Floats
    groups: Sequence[str]


@dataclass(frozen=True, eq=False)
class Regression:
    """A regression that was measured on test rows.

    Attributes:
        r2: 1 - (sum of squared errors) / (sum of squared deviations from the mean of the test rows).
        dev_r2: the same on the development rows.
        replicates: the measure of each resample of the test rows (resamples,), drawn alike for equal groups.
    """

    r2: Estimate
    dev_r2: float
    replicates: npt.NDArray[np.float64]


def ridge(train: Numbered, dev: Numbered, test: Numbered, *, resamples: int = 1000) -> Regression:
    """Fit on train, choose the strength on dev, measure on test.

    Raises MeasurementError: fewer than 2 rows in a part, or a target that does not vary.
    """
    for name, part in (("train", train), ("dev", dev), ("test", test)):
        if len(part.target) < 2 or not np.ptp(part.target) > 0:
            raise MeasurementError(f"A regression needs numbers that differ; {name} has {len(part.target)} rows.")
    standardizer = Standardizer.fit(train.features)
    mean, scale = float(np.mean(train.target)), float(np.std(train.target)) or 1.0
    x = standardizer(train.features).astype(np.float64)
    y = (np.asarray(train.target, dtype=np.float64) - mean) / scale
    variances, vectors = np.linalg.eigh(x.T @ x / len(x))
    projected = vectors.T @ (x.T @ y / len(x))
    dev_x = standardizer(dev.features).astype(np.float64)
    dev_y = (np.asarray(dev.target, dtype=np.float64) - mean) / scale
    fits = [vectors @ (projected / (np.maximum(variances, 0) + strength)) for strength in STRENGTHS]
    scores = [_r2(np.square(dev_x @ weights - dev_y), dev_y) for weights in fits]
    best = int(np.argmax(scores))
    actual = (np.asarray(test.target, dtype=np.float64) - mean) / scale
    errors = np.square(standardizer(test.features).astype(np.float64) @ fits[best] - actual)
    sums = np.stack([np.ones_like(actual), errors, actual, actual**2], axis=1)
    replicates = _r2_of(resampled_totals(sums, test.groups, resamples=resamples))
    low, high = interval_of(replicates)
    return Regression(Estimate(_r2(errors, actual), low, high), scores[best], replicates)


def _r2(errors: npt.NDArray[np.float64], actual: npt.NDArray[np.float64]) -> float:
    return float(1 - errors.sum() / np.square(actual - actual.mean()).sum())


def _r2_of(totals: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    count, error, value, square = totals.T
    spread = square - value**2 / count
    return 1 - np.divide(error, spread, out=np.ones_like(error), where=spread > 1e-12)

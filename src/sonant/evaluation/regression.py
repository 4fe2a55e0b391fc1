"""Errors and correlations of predicted numbers, with bootstrap intervals."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sonant.errors import MeasurementError
from sonant.evaluation.resampling import interval_of, resampled_totals

Floats = npt.NDArray[np.float64]


def score_numbers(
    predicted: npt.ArrayLike, actual: npt.ArrayLike, groups: Sequence[str] | None = None
) -> dict[str, dict[str, float]]:
    """Score predicted numbers (recordings,) against the actual ones.

    Args:
        groups: of each recording, such as its speaker; they are drawn whole in the bootstrap.

    Returns:
        `mae`, the mean absolute error; `pearson`, the correlation; and `ccc`, the concordance correlation coefficient
        2 cov / (var + var + (mean - mean)^2), which falls with wrong means and spreads too; each with its `value`, and
        `low` and `high` of a 95 % interval. A correlation of numbers that do not differ is 0.

    Raises:
        MeasurementError: shapes differ, there are no numbers, or some are not finite.

    Source: Lin, Biometrics 45, 1989 (CCC).
    """
    ours, theirs = np.asarray(predicted, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    if ours.shape != theirs.shape or ours.ndim != 1 or not len(ours) or not np.isfinite([ours, theirs]).all():
        raise MeasurementError(
            f"Numbers of shapes {ours.shape} and {theirs.shape} were given; expected one axis of the same length for "
            "both, one number or more, all of them finite."
        )
    x, y = ours - ours.mean(), theirs - theirs.mean()  # about 0, for precision
    unit = max(abs(x).max(), abs(y).max()) or 1.0  # numbers may be small
    x, y, apart = x / unit, y / unit, (ours.mean() - theirs.mean()) / unit
    values = np.stack([np.ones_like(x), abs(ours - theirs), x, y, x * x, y * y, x * y], axis=1)
    totals = resampled_totals(values, groups)
    measured, resampled = (_measures(each, apart) for each in (values.sum(0)[None], totals))
    return {name: interval_of(resampled[name]).around(found[0]) for name, found in measured.items()}


def _measures(totals: Floats, apart: float) -> dict[str, Floats]:
    """Compute the measures (...,) of sums (..., 7) of 1, errors, x, y, x^2, y^2 and xy.

    x and y are differences from two means, of which that of x is higher by `apart`.
    """
    count, error, x, y, xx, yy, xy = np.moveaxis(totals, -1, 0)
    x, y = x / count, y / count
    var_x, var_y, cov = np.maximum(xx / count - x * x, 0), np.maximum(yy / count - y * y, 0), xy / count - x * y
    return {
        "mae": error / count,
        "pearson": _ratio(cov, np.sqrt(var_x * var_y)),
        "ccc": _ratio(2 * cov, var_x + var_y + (x - y + apart) ** 2),
    }


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 1e-12)

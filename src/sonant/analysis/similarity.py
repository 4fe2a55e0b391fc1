"""Similarity of two representations of the same frames or segments: linear CKA and projection-weighted CCA.

Linear CKA of X (rows, p) and Y (rows, q), columns centered, is HSIC(X, Y) / sqrt(HSIC(X, X) HSIC(Y, Y)). HSIC is
estimated without bias; with centered columns, n rows, and k, l the squared lengths of the rows,

    n (n - 3) HSIC(X, Y) = |X'Y|^2 - n / (n - 2) sum(k l) + sum(k) sum(l) / ((n - 1) (n - 2))

where |.| is the Frobenius norm: the biased estimate is large for wide representations of few rows.

CCA finds pairs of directions whose projections correlate most. PWCCA is the mean of the correlations r_i, weighted by
how much of X each direction accounts for, w_i = sum over columns j of |<X a_i, x_j>|, with a_i directions of X.

Sources: Kornblith et al., arXiv 1905.00414; Song et al., JMLR 13, 2012 (HSIC without bias); Morcos et al., arXiv
1806.05759 (PWCCA), as Pasad et al., arXiv 2107.04734 and 2211.03929, apply it to layers: on held-out data.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sonant.errors import MeasurementError

Floats = npt.NDArray[np.floating]
LEAST_SHARE = 1e-8  # of the largest variance; directions with less are rounding


def linear_cka(x: Floats, y: Floats, *, debiased: bool = True) -> float:
    """Compute linear CKA of rows (rows, p) and (rows, q).

    Args:
        debiased: by the estimate of HSIC without bias, which may be below 0; False: |X'Y|^2 alone.

    Raises:
        MeasurementError: another number of rows, fewer than 4, or no variance.
    """
    if len(x) != len(y) or len(x) < 4:
        raise MeasurementError(f"CKA compares rows with rows: {x.shape} and {y.shape} were given; expected 4 or more.")
    one, other = _centered(x), _centered(y)
    own = _hsic(one, one, debiased=debiased), _hsic(other, other, debiased=debiased)
    if min(own) <= 0:
        raise MeasurementError("CKA has no value: one of the representations does not vary between the rows.")
    return float(_hsic(one, other, debiased=debiased) / np.sqrt(own[0] * own[1]))


@dataclass(frozen=True, eq=False)
class CanonicalDirections:
    """Directions of two representations, with correlations that fall on the rows that they were fitted on.

    Attributes:
        x: (p, directions), of unit variance, after `x_mean` is subtracted.
        y: (q, directions).
        correlations: on the rows of the fit (directions,).
    """

    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    x_mean: npt.NDArray[np.float64]
    y_mean: npt.NDArray[np.float64]
    correlations: npt.NDArray[np.float64]

    def weighted_correlation(self, x: Floats, y: Floats) -> float:
        """Return PWCCA on rows (rows, p) and (rows, q), such as held-out ones."""
        centered = np.asarray(x, dtype=np.float64) - self.x_mean
        ours, theirs = centered @ self.x, (np.asarray(y, dtype=np.float64) - self.y_mean) @ self.y
        ours, theirs = ours - ours.mean(0), theirs - theirs.mean(0)
        norms = np.linalg.norm(ours, axis=0) * np.linalg.norm(theirs, axis=0)
        correlations = np.divide((ours * theirs).sum(0), norms, out=np.zeros_like(norms), where=norms > 0)
        weights = np.abs((centered - centered.mean(0)).T @ ours).sum(0)
        return float((weights * correlations).sum() / weights.sum()) if weights.sum() > 0 else 0.0


def fit_cca(x: Floats, y: Floats) -> CanonicalDirections:
    """Find canonical directions of rows (rows, p) and (rows, q).

    Directions of the variance below `LEAST_SHARE` of the largest are left out, and of what is left as many are found
    as the narrower representation has.

    Raises:
        MeasurementError: another number of rows, or no more rows than columns, where correlations are 1 by chance.
    """
    if len(x) != len(y) or len(x) <= x.shape[1] + y.shape[1]:
        raise MeasurementError(
            f"CCA of {x.shape} and {y.shape} was asked for; expected as many rows in both, and more than both have "
            "columns together. Give more recordings."
        )
    x_mean, y_mean = (np.asarray(each, dtype=np.float64).mean(0) for each in (x, y))
    x_white, y_white = _whitening(x - x_mean), _whitening(y - y_mean)
    cross = ((x - x_mean) @ x_white).T @ ((y - y_mean) @ y_white)
    left, correlations, right = np.linalg.svd(cross / len(x), full_matrices=False)
    return CanonicalDirections(x_white @ left, y_white @ right.T, x_mean, y_mean, correlations.clip(0, 1))


def pwcca(x: Floats, y: Floats) -> float:
    """Compute PWCCA on the rows on which the directions are found."""
    return fit_cca(x, y).weighted_correlation(x, y)


def one_hot(labels: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """Return an indicator column for each of the labels (rows,), but the last: it is 1 less the others."""
    names, number = np.unique(labels, return_inverse=True)
    return np.eye(len(names))[number][:, :-1]


def _whitening(centered: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return a matrix (p, rank) by which rows get unit covariance."""
    variances, vectors = np.linalg.eigh(centered.T @ centered / len(centered))
    kept = variances > LEAST_SHARE * variances[-1]
    return vectors[:, kept] / np.sqrt(variances[kept])


def _centered(rows: Floats) -> npt.NDArray[np.float64]:
    wide = np.asarray(rows, dtype=np.float64)
    return wide - wide.mean(axis=0)


def _hsic(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], *, debiased: bool) -> float:
    """Return n (n - 3) HSIC of centered rows; biased: |X'Y|^2, which is in proportion too."""
    total = np.square(x.T @ y).sum()
    if not debiased:
        return float(total)
    n, k, l = len(x), np.square(x).sum(1), np.square(y).sum(1)
    return float(total - n / (n - 2) * (k @ l) + k.sum() * l.sum() / ((n - 1) * (n - 2)))

"""Temperature of a classifier: its fit to held-out recordings, and the error of its probabilities."""

import numpy as np
import numpy.typing as npt

from sonant.errors import MeasurementError

Floats = npt.NDArray[np.float64]
RANGE = (1e-3, 1e3)  # of 1 / temperature
HALVINGS = 60  # of the range, to the precision of float64
BINS = 15


def fit_temperature(logits: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Fit the temperature T that minimizes the negative log-likelihood of softmax(logits / T).

    With b = 1 / T and targets t, the derivative of the mean of logsumexp(b z) - b t.z is the mean of
    softmax(b z).z - t.z, which rises with b: its zero is found by halving. Each label is taken as wrong with
    probability 1 / (recordings + 2), without which T would be 0 where all recordings are right.

    Args:
        logits: (recordings, classes).
        labels: int (recordings,).

    Raises:
        MeasurementError: shapes do not fit, or logits are not finite.

    Source: Guo et al., ICML 2017 (arXiv 1706.04599); Platt 1999 for the labels.
    """
    scores, numbers = _checked(logits, labels)
    count, classes = scores.shape
    wrong = 1 / (count + 2)
    targets = np.full(scores.shape, wrong / (classes - 1))
    targets[np.arange(count), numbers] = 1 - wrong
    wanted = (targets * scores).sum(1).mean()
    low, high = RANGE
    for _ in range(HALVINGS):
        middle = (low * high) ** 0.5
        if (softmax(middle * scores) * scores).sum(1).mean() < wanted:
            low = middle
        else:
            high = middle
    return float(1 / (low * high) ** 0.5)


def expected_calibration_error(probabilities: npt.ArrayLike, labels: npt.ArrayLike, *, bins: int = BINS) -> float:
    """Compute the expected calibration error (ECE) of probabilities (recordings, classes) with labels (recordings,).

    The mean, over bins of equal width of the highest probability, of |accuracy - mean probability|, weighted by the
    number of recordings in the bin. Source: Guo et al., ICML 2017 (15 bins).
    """
    chances, numbers = _checked(probabilities, labels)
    top = chances.max(1)
    right = chances.argmax(1) == numbers
    places = np.minimum((top * bins).astype(int), bins - 1)
    return float(np.abs(np.bincount(places, weights=right - top)).sum() / len(top))


def cross_fitted(logits: npt.ArrayLike, labels: npt.ArrayLike) -> Floats:
    """Return probabilities of recordings by temperatures that were fitted without them, on the other half of them."""
    scores, numbers = _checked(logits, labels)
    found = np.empty_like(scores)
    half = np.arange(len(scores)) % 2 == 0
    for measured in (half, ~half):
        fitted = ~measured if (~measured).any() else measured
        found[measured] = softmax(scores[measured] / fit_temperature(scores[fitted], numbers[fitted]))
    return found


def softmax(logits: Floats) -> Floats:
    """Compute the softmax over the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def _checked(values: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[Floats, npt.NDArray[np.int64]]:
    found, numbers = np.asarray(values, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if found.ndim != 2 or numbers.shape != found.shape[:1] or not found.shape[0] or found.shape[1] < 2:
        raise MeasurementError(
            f"Outputs of shape {found.shape} were given with labels of shape {numbers.shape}; expected (recordings, "
            "classes) of two classes or more, and one class for each recording. Several labels for one recording have "
            "no common temperature."
        )
    if not np.isfinite(found).all() or not ((numbers >= 0) & (numbers < found.shape[1])).all():
        raise MeasurementError("Outputs are not finite, or labels are not numbers of their classes.")
    return found, numbers

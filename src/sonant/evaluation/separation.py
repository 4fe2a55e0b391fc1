"""Separation and enhancement: ratios of a source to the distortion of its estimate, in decibels."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sonant.errors import MeasurementError

Array = NDArray[np.float64]


class SourceScores(NamedTuple):
    """Scores of the sources of one mixture, in the order of the references.

    Attributes:
        si_sdr: in dB, (sources,).
        improvement: over the mixture in place of the estimates, in dB, (sources,).
        order: number of the estimate of each reference.
    """

    si_sdr: Array
    improvement: Array
    order: tuple[int, ...]


def si_sdr(estimate: ArrayLike, reference: ArrayLike, *, zero_mean: bool = True) -> Array:
    """Compute the scale-invariant signal-to-distortion ratio in dB of (samples,), or of each row of (sources, samples).

    With the reference s, the estimate e and a = <e, s> / <s, s>, it is 10 log10(|a s|^2 / |a s - e|^2): infinite for a
    perfect estimate, and minus infinity for one without any of the reference, such as silence.

    Args:
        zero_mean: subtract the mean of each signal first.

    Raises:
        MeasurementError: shapes differ, a reference is silent, or numbers are not finite.

    Source: Le Roux et al., "SDR: half-baked or well done?" (ICASSP 2019), equation 5.
    """
    estimates, references = _checked(estimate, reference, zero_mean=zero_mean)
    ratio: Array = _si_sdr(estimates, references)
    return ratio


def si_sdr_improvement(
    estimate: ArrayLike, reference: ArrayLike, mixture: ArrayLike, *, zero_mean: bool = True
) -> Array:
    """Compute the SI-SDR of estimates minus that of the mixture (samples,); arguments and errors as of `si_sdr`.

    It is 0 where both are perfect.
    """
    references = np.asarray(reference)
    after = si_sdr(estimate, references, zero_mean=zero_mean)
    return _above(after, si_sdr(_beside(mixture, references), references, zero_mean=zero_mean))


def separation_scores(estimates: ArrayLike, references: ArrayLike, mixture: ArrayLike) -> SourceScores:
    """Compute the SI-SDR of separated sources (sources, samples), in the order with the highest mean.

    Args:
        estimates: as many as references, in any order.
        mixture: (samples,).

    Raises MeasurementError, as `si_sdr`.
    """
    from scipy.optimize import linear_sum_assignment

    found, wanted = _checked(estimates, references, zero_mean=True)
    if found.ndim != 2:
        raise MeasurementError(f"Sources of shape {found.shape} were given; expected (sources, samples).")
    pairs = _si_sdr(found[None], wanted[:, None])  # (references, estimates)
    _, order = linear_sum_assignment(-np.nan_to_num(pairs, posinf=1e3, neginf=-1e3))
    best = pairs[np.arange(len(order)), order]
    improvement = _above(best, si_sdr(_beside(mixture, wanted), references))
    return SourceScores(best, improvement, tuple(map(int, order)))


def sdr(estimate: ArrayLike, reference: ArrayLike, *, filter_length: int = 512) -> Array:
    """Compute the SDR of BSS Eval in dB of (samples,), or of each row of (sources, samples).

    What a filter of `filter_length` taps makes of the reference counts as the source, all else as distortion; means are
    not subtracted.

    Raises MeasurementError, as `si_sdr`.

    Source: Vincent et al. 2006, as `bss_eval_sources` of mir_eval computes it; Scheibler, "SDR - medium rare with fast
    computations" (ICASSP 2022), for the computation by one linear system.
    """
    estimates, references = _checked(estimate, reference, zero_mean=False)
    if not 1 <= filter_length <= estimates.shape[-1]:
        raise MeasurementError(
            f"filter_length={filter_length} was given for {estimates.shape[-1]} samples; expected 1 to that many."
        )
    rows = [
        _sdr(one, other, filter_length)
        for one, other in zip(np.atleast_2d(estimates), np.atleast_2d(references), strict=True)
    ]
    return np.array(rows).reshape(estimates.shape[:-1])


def checked_pair(estimate: ArrayLike, reference: ArrayLike) -> tuple[Array, Array]:
    """Return two signals of one shape in float64. Raises MeasurementError unless they can be compared."""
    found, wanted = np.asarray(estimate, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if found.shape != wanted.shape or found.ndim not in (1, 2) or not found.size:
        raise MeasurementError(
            f"An estimate of shape {found.shape} was given for a reference of {wanted.shape}; expected two equal "
            "shapes, (samples,) or (sources, samples). Cut both to the same samples."
        )
    if not (np.isfinite(found).all() and np.isfinite(wanted).all()):
        raise MeasurementError("Samples of the estimate or of the reference are NaN or infinite.")
    if not np.abs(wanted).max(-1).all():
        raise MeasurementError(
            "A reference is silent: nothing in an estimate can be right. Leave out sources that are not heard in the "
            "recording."
        )
    return found, wanted


def _checked(estimate: ArrayLike, reference: ArrayLike, *, zero_mean: bool) -> tuple[Array, Array]:
    found, wanted = checked_pair(estimate, reference)
    if not zero_mean:
        return found, wanted
    if (np.ptp(wanted, axis=-1) == 0).any():
        raise MeasurementError("A reference is constant, which is silence without its mean.")
    centered = np.where(np.ptp(found, axis=-1, keepdims=True) > 0, found - found.mean(-1, keepdims=True), 0.0)
    return centered, wanted - wanted.mean(-1, keepdims=True)


def _beside(mixture: ArrayLike, references: ArrayLike) -> Array:
    """Return a mixture (samples,) beside each of the references. Raises MeasurementError for another shape."""
    mixtures, wanted = np.asarray(mixture, dtype=np.float64), np.shape(references)
    if mixtures.shape not in (wanted, wanted[-1:]):
        raise MeasurementError(
            f"A mixture of shape {mixtures.shape} was given for sources of {wanted}; expected as many samples. Cut all "
            "to the same samples."
        )
    return np.broadcast_to(mixtures, wanted)


def _above(after: Array, before: Array) -> Array:
    """Subtract two ratios, of which the same infinite one twice differs by 0."""
    difference: Array = np.subtract(after, before, out=np.zeros(np.shape(after)), where=np.not_equal(after, before))
    return difference[()]


def _si_sdr(estimates: Array, references: Array) -> Any:
    """Compute the ratios along the last axis."""
    scale = (estimates * references).sum(-1, keepdims=True) / np.square(references).sum(-1, keepdims=True)
    source = np.square(scale * references).sum(-1)
    distortion = np.square(scale * references - estimates).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(source > 0, 10 * np.log10(source / distortion), -np.inf)


def _sdr(estimate: Array, reference: Array, taps: int) -> float:
    """Compute 10 log10(c / (1 - c)), c the share of the estimate's energy that the filtered reference explains."""
    size = 1 << (len(reference) + taps - 1).bit_length()
    spectrum, other = np.fft.rfft(reference, size), np.fft.rfft(estimate, size)
    auto = np.fft.irfft(np.abs(spectrum) ** 2, size)[:taps]
    cross = np.fft.irfft(spectrum.conj() * other, size)[:taps]
    lags = np.abs(np.arange(taps)[:, None] - np.arange(taps))
    weights, *_ = np.linalg.lstsq(auto[lags], cross, rcond=None)
    energy = float(np.square(estimate).sum())
    explained = float(cross @ weights) / energy if energy else 0.0
    if explained <= 0:
        return -np.inf
    return np.inf if explained >= 1 else 10 * float(np.log10(explained / (1 - explained)))

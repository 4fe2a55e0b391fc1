"""Losses between estimated and true sources of mixtures, in the order of the estimates that fits best."""

from itertools import permutations

import torch
from torch import Tensor

from sonant.layers.packed import Packed
from sonant.tasks.mask import MaskedMixture

TINY = 1e-8  # share of the energy; ratios end at 80 dB


def phase_sensitive_pairs(masked: MaskedMixture, sources: Packed) -> Tensor:
    """Compute the squared error of masked magnitudes for each pair of estimate and source (batch, sources, sources).

    The target is the part of the source's spectrum S in the direction of the mixture's, max(0, |S| cos(difference of
    phase)), and the error a mean over bins, summed over frames.

    Args:
        sources: true waveforms (total_samples, sources).

    Returns:
        Errors by clip, estimate and source.

    Source: Erdogan et al. 2015 (ICASSP), the phase-sensitive spectrum approximation, without negative values.
    """
    mixture = masked.spectrum.values  # (frames, bins)
    wanted = masked.stft(sources).values  # (frames, sources, bins)
    magnitude = mixture.abs()
    target = (wanted * mixture.conj()[:, None]).real / magnitude.clamp(min=TINY)[:, None]
    found = masked.masks.values * magnitude[:, None]
    errors = (found[:, :, None] - target.relu()[:, None]).square().mean(-1)  # (frames, estimates, sources)
    return by_clip(masked.spectrum.with_values(errors))


def si_sdr_pairs(estimates: Packed, sources: Packed) -> Tensor:
    """Compute the SI-SDR in dB of each pair of estimate and source, without means: (batch, estimates, sources).

    It ends at 80 dB either way; the value of a silent source means nothing. As `sonant.evaluation.si_sdr`, which
    says the source.

    Args:
        estimates: (total_samples, estimates).
        sources: (total_samples, sources).
    """
    e, s = _centered(estimates), _centered(sources)
    products = by_clip(estimates.with_values(e[:, :, None] * s[:, None]))
    energies, wanted = by_clip(estimates.with_values(e.square())), by_clip(sources.with_values(s.square()))
    energies = energies[:, :, None]
    explained = products.square() / wanted[:, None].clamp(min=torch.finfo(e.dtype).tiny)
    floor = TINY * energies + torch.finfo(e.dtype).tiny
    return 10 * ((explained + floor) / ((energies - explained).clamp(min=0) + floor)).log10()


def best_order(pairs: Tensor) -> Tensor:
    """Return the mean of the pairs in the order with the lowest mean: pairs (batch, n, n) to (batch,)."""
    number = torch.arange(pairs.shape[1])
    means = [pairs[:, list(order), number].mean(1) for order in permutations(number.tolist())]
    return torch.stack(means).amin(0)


def by_clip(steps: Packed) -> Tensor:
    """Sum (total, ...) over the steps of each clip: (batch, ...)."""
    values = steps.values
    return values.new_zeros(len(steps), *values.shape[1:]).index_add(0, steps.clip_of_step, values)


def _centered(waveforms: Packed) -> Tensor:
    """Subtract the mean of each clip and channel, in float64 where the device has it, for the sums that follow."""
    values = waveforms.values.float()
    if values.device.type != "mps":
        values = values.double()
    means = by_clip(waveforms.with_values(values)) / waveforms.lengths.to(values.device)[:, None]
    return values - means.index_select(0, waveforms.clip_of_step)

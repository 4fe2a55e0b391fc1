"""Masks on the spectra of mixtures, and the losses of what they let through."""

import numpy as np
import pytest
import torch

from sonant.errors import CheckpointMismatch
from sonant.evaluation import si_sdr
from sonant.layers.frame_grid import FrameGrid
from sonant.layers.packed import Packed
from sonant.layers.stft import STFT
from sonant.tasks import LayerMix, MaskedMixture, MaskHead, MaskNetwork
from sonant.tasks.separation_loss import best_order, phase_sensitive_pairs, si_sdr_pairs

GRID, LENGTHS = FrameGrid(320, 400), (3000, 1600, 6000)
draw = torch.Generator().manual_seed(0)
SPEECH = Packed.pack(torch.randn(length, generator=draw) for length in LENGTHS)
STATES = Packed.pack(torch.randn((length - 400) // 320 + 1, 3, 8, generator=draw) for length in LENGTHS)
SOURCES = Packed.pack(torch.randn(length, 3, generator=draw) for length in LENGTHS)


def head(**changes: object) -> MaskHead:
    torch.manual_seed(0)
    network = MaskNetwork(num_sources=3, hidden_dim=5, num_layers=1, **changes)  # type: ignore[arg-type]
    return MaskHead(8, network, LayerMix(torch.zeros(3)))


@pytest.mark.parametrize("inputs", ["states", "spectrum", "both"])
def test_a_mixture_in_a_batch_is_the_mixture_alone(inputs: str) -> None:
    network = head(inputs=inputs)
    together = network(STATES, SPEECH, GRID).waveforms
    for states, speech, found in zip(STATES, SPEECH, together, strict=True):
        alone = network(Packed.pack([states]), Packed.pack([speech]), GRID).waveforms
        torch.testing.assert_close(alone.values, found, atol=1e-5, rtol=0)


def test_masks_of_one_give_the_mixture_back() -> None:
    stft = STFT(window=512, hop=320)
    spectrum = stft(SPEECH)
    masks = spectrum.with_values(torch.ones(len(spectrum.values), 2, stft.num_bins))
    found = MaskedMixture(spectrum, masks, SPEECH.lengths, stft).waveforms.values
    torch.testing.assert_close(found, SPEECH.values[:, None].expand(-1, 2), atol=1e-5, rtol=0)


def test_the_head_is_made_of_its_tensors() -> None:
    network = head(stft=STFT(window=400, hop=160))
    again = MaskHead.from_tensors(network.tensors(), network.settings)
    assert torch.equal(again(STATES, SPEECH, GRID).masks.values, network(STATES, SPEECH, GRID).masks.values)
    with pytest.raises(CheckpointMismatch, match="other tensors"):
        MaskHead.from_tensors(network.tensors(), network.settings | {"dim": 9})
    with pytest.raises(CheckpointMismatch, match="cannot be read"):
        MaskHead.from_tensors(network.tensors(), {})


def test_losses_do_not_depend_on_the_order_of_the_sources() -> None:
    masked = head()(STATES, SPEECH, GRID)
    for pairs in (
        lambda sources: phase_sensitive_pairs(masked, sources),
        lambda sources: -si_sdr_pairs(masked.waveforms, sources),
    ):
        expected = best_order(pairs(SOURCES))
        for order in ([1, 0, 2], [2, 0, 1]):
            torch.testing.assert_close(best_order(pairs(SOURCES.with_values(SOURCES.values[:, order]))), expected)


def test_the_loss_of_the_right_masks_is_zero() -> None:
    stft = STFT()
    half = SPEECH.with_values(torch.stack([SPEECH.values * 0.25, SPEECH.values * 0.75], 1))
    spectrum = stft(SPEECH)
    masks = torch.tensor([0.75, 0.25])[:, None].expand(len(spectrum.values), 2, stft.num_bins)
    masked = MaskedMixture(spectrum, spectrum.with_values(masks), SPEECH.lengths, stft)
    torch.testing.assert_close(best_order(phase_sensitive_pairs(masked, half)), torch.zeros(3))


def test_pairs_are_those_of_the_evaluation() -> None:
    estimates = SOURCES.with_values(SOURCES.values.roll(1, 1) + 0.3 * SOURCES.values + 2.0)
    found = si_sdr_pairs(estimates, SOURCES)
    for one, clip, other in zip(found, estimates, SOURCES, strict=True):
        for number in range(3):
            expected = si_sdr(clip[:, [number] * 3].T.numpy(), other.T.numpy())
            np.testing.assert_allclose(one[number].numpy(), expected, atol=1e-2)

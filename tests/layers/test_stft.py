"""Spectra of packed waveforms: those of torch, the same in a batch, and with an exact inverse."""

import pytest
import torch

from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed
from sonant.layers.stft import STFT

CLIPS = [torch.randn(length, generator=torch.Generator().manual_seed(length)) for length in (1, 3000, 319, 320, 777)]


@pytest.mark.parametrize(("window", "hop"), [(512, 256), (512, 320), (400, 160), (64, 48)])
def test_spectra_are_those_of_torch_and_their_inverse_is_the_clip(window: int, hop: int) -> None:
    stft, packed = STFT(window=window, hop=hop), Packed.pack(CLIPS)
    spectra = stft(packed)
    for clip, found in zip(CLIPS, spectra, strict=True):
        padded = torch.cat([clip, torch.zeros(2 * window)])
        expected = torch.stft(
            padded, window, hop, window=torch.hann_window(window), pad_mode="constant", return_complex=True
        )
        torch.testing.assert_close(found, expected.T[: len(found)])
        torch.testing.assert_close(stft(Packed.pack([clip])).values, found)
    torch.testing.assert_close(stft.inverse(spectra, packed.lengths).values, packed.values, atol=1e-5, rtol=0)


def test_channels_are_transformed_side_by_side() -> None:
    stft, stereo = STFT(), Packed.pack(torch.stack([clip, -2 * clip], 1) for clip in CLIPS)
    spectra = stft(stereo)
    torch.testing.assert_close(spectra.values[:, 1], -2 * spectra.values[:, 0])
    torch.testing.assert_close(stft.inverse(spectra, stereo.lengths).values, stereo.values, atol=1e-5, rtol=0)


def test_a_hop_with_which_samples_would_be_lost_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="three quarters"):
        STFT(window=400, hop=320)

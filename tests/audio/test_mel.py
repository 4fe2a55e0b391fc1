"""Mel features: equal to Kaldi's, frame by frame, whatever the batch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sonant.audio.mel import deltas, fbank, mfcc, mfcc_with_deltas, num_mel_frames
from sonant.errors import ConfigurationError, TooShortAudio

knf = pytest.importorskip("kaldi_native_fbank")


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(samples, generator=torch.Generator().manual_seed(seed)) * 0.1


def frames_of(extractor: object, waveform: torch.Tensor, sampling_rate: int = 16_000) -> np.ndarray:
    extractor.accept_waveform(sampling_rate, waveform.tolist())
    extractor.input_finished()
    return np.stack([extractor.get_frame(i) for i in range(extractor.num_frames_ready)])


@pytest.mark.parametrize("num_bins", [23, 40, 80])
def test_fbank_equals_kaldi(num_bins: int) -> None:
    options = knf.FbankOptions()
    options.frame_opts.dither = 0
    options.mel_opts.num_bins = num_bins
    reference = frames_of(knf.OnlineFbank(options), noise(20_000))
    np.testing.assert_allclose(fbank(noise(20_000), num_bins=num_bins), reference, atol=5e-4)


@pytest.mark.parametrize("rate", [7_350, 8_000, 11_025, 12_000, 22_050, 24_000, 32_000, 44_100, 48_000])
def test_fbank_equals_kaldi_at_any_rate(rate: int) -> None:
    """Where 25 ms are no whole number of samples, Kaldi drops the fraction: 275 samples at 11,025 Hz."""
    options = knf.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.samp_freq = rate
    options.mel_opts.num_bins = 40
    reference = frames_of(knf.OnlineFbank(options), noise(20_000), rate)
    ours = fbank(noise(20_000), sampling_rate=rate, num_bins=40)
    assert len(ours) == num_mel_frames(20_000, sampling_rate=rate)
    np.testing.assert_allclose(ours, reference, atol=5e-4)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"sampling_rate": 8_000, "high_hz": 8_000.0}, "holds 0 to 4000 Hz"),
        ({"low_hz": 9_000.0}, "from 9000 to 8000 Hz"),
        ({"high_hz": -8_000.0}, "from 20 to 0 Hz"),
        ({"num_bins": 400}, "contain no frequency"),
        ({"sampling_rate": 16}, "not kilohertz"),
    ],
)
def test_bins_that_cannot_be_are_refused(settings: dict[str, float], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        fbank(noise(5_000), **settings)


def test_mfcc_equals_kaldi() -> None:
    options = knf.MfccOptions()
    options.frame_opts.dither = 0
    options.use_energy = False
    reference = frames_of(knf.OnlineMfcc(options), noise(20_000))
    np.testing.assert_allclose(mfcc(noise(20_000)), reference, atol=1e-3)


@given(samples=st.integers(400, 5_000))
def test_number_of_frames(samples: int) -> None:
    assert len(fbank(noise(samples))) == num_mel_frames(samples) == (samples - 400) // 160 + 1


def test_a_batch_equals_its_rows() -> None:
    rows = torch.stack([noise(8_000, seed) for seed in range(3)])
    torch.testing.assert_close(mfcc_with_deltas(rows), torch.stack([mfcc_with_deltas(row) for row in rows]))


def test_the_slope_of_a_line_is_constant() -> None:
    line = 3.0 * torch.arange(20.0)[:, None] + 7
    torch.testing.assert_close(deltas(line)[2:-2], torch.full((16, 1), 3.0))


def test_silence_has_finite_features() -> None:
    assert mfcc_with_deltas(torch.zeros(16_000)).isfinite().all()


def test_less_than_a_window_is_refused() -> None:
    with pytest.raises(TooShortAudio, match="399"):
        fbank(torch.zeros(399))

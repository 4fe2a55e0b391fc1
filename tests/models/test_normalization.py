"""Normalization of waveforms: of a whole recording, of its windows, and as the first step of a model."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed
from sonant.models import WavLMConfig, build, normalize_waveform
from sonant.models.normalization import WaveformStatistics
from tests.shapes import SMALL

CONFIG = WavLMConfig(**SMALL, normalize=True)


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(0, 5000), min_size=1, max_size=5).filter(lambda lengths: sum(lengths) >= 400),
    offset=st.sampled_from([0.0, 0.3]),
    scale=st.sampled_from([1e-4, 0.1, 1.0]),
)
def test_blocks_give_the_layer_norm_of_the_whole(lengths: list[int], offset: float, scale: float) -> None:
    wave = np.random.default_rng(sum(lengths)).normal(offset, scale, sum(lengths)).astype(np.float32)
    statistics = WaveformStatistics()
    for block in np.split(wave, np.cumsum(lengths)[:-1]):
        statistics.update(block)
    whole = torch.nn.functional.layer_norm(torch.from_numpy(wave), wave.shape)
    torch.testing.assert_close(statistics.normalize(torch.from_numpy(wave), 1e-5), whole, rtol=0, atol=2e-5)


@pytest.mark.parametrize("norm", ["group", "layer"])
@torch.no_grad()
def test_a_model_normalizes_by_itself(norm: str) -> None:
    model = build(replace(CONFIG, extractor_norm=norm)).eval()
    plain = build(replace(model.config, normalize=False)).eval()
    plain.load_state_dict(model.state_dict())
    clips = [0.01 * torch.randn(samples) + 0.3 for samples in (8_000, 3_000)]
    normalized = [normalize_waveform(clip, CONFIG.normalize_epsilon) for clip in clips]
    assert torch.equal(model(Packed.pack(clips)).last, plain(Packed.pack(normalized)).last)


@pytest.mark.parametrize("norm", ["group", "layer"])
@torch.no_grad()
def test_windows_are_normalized_as_the_whole(norm: str) -> None:
    model = build(replace(CONFIG, extractor_norm=norm)).eval()
    clip = 0.01 * torch.linspace(0.1, 1, 16_000) * torch.randn(16_000) + 0.3
    statistics = model.clip_statistics()
    for block in clip.split(1_234):
        statistics.update(block.numpy())
    whole = model.features(Packed.pack([clip])).values
    window = model.features(Packed.pack([clip[6_400:]]), statistics=[statistics]).values
    torch.testing.assert_close(window, whole[20:], rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_weights_of_sixteen_bits_cost_the_waveform_no_digits() -> None:
    """An offset far above a quiet recording is taken away before the samples are rounded."""
    model = build(CONFIG).eval()
    quiet = 1e-4 * torch.randn(8_000)
    model.bfloat16()
    offset, none = (model.normalized(Packed.pack([quiet + level])).values for level in (0.5, 0.0))
    assert offset.dtype == torch.bfloat16
    assert torch.cosine_similarity(offset.float(), none.float(), dim=0) > 0.999


def test_statistics_of_another_kind_of_model_are_refused() -> None:
    model, other = build(CONFIG), build(replace(CONFIG, normalize=False))
    with pytest.raises(ConfigurationError, match="clip_statistics"):
        model(Packed.pack([torch.randn(8_000)]), statistics=[other.clip_statistics()])

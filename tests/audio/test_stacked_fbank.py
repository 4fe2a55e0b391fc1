"""The features of w2v-BERT 2.0: equal to transformers' extractor, clip by clip, whole or in windows."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant.audio.mel import MelStatistics, fbank, num_mel_frames, stacked_fbank, stacked_reach

transformers = pytest.importorskip("transformers")


def wave(samples: int, seed: int = 0, level: float = 0.1) -> np.ndarray:
    """Noise whose loudness swells and sinks, as speech does."""
    rng = np.random.default_rng([samples, seed])
    swell = 0.05 + np.sin(np.arange(samples) / 1500) ** 2
    return (level * swell * rng.standard_normal(samples) + 0.01).astype(np.float32)


def ours(clip: np.ndarray) -> torch.Tensor:
    return stacked_fbank(torch.from_numpy(clip))


@pytest.mark.parametrize("samples", [2_000, 16_000, 16_079, 16_080, 16_239, 16_240, 33_333])
@pytest.mark.parametrize("level", [1.0, 0.1, 1e-3])
def test_a_clip_equals_transformers(samples: int, level: float) -> None:
    clip = wave(samples, level=level)
    theirs = transformers.SeamlessM4TFeatureExtractor()(clip, sampling_rate=16_000, return_tensors="pt")
    expected = theirs["input_features"][0][theirs["attention_mask"][0].bool()]
    given_frames = ours(clip)
    assert given_frames.shape == expected.shape == ((samples - 240) // 320, 160)
    assert (given_frames - expected).abs().max() < 1e-4


def test_several_clips_equal_transformers_padded_batch() -> None:
    clips = [wave(samples, level=level) for samples, level in ((20_000, 0.3), (5_321, 0.01), (16_081, 1.0))]
    theirs = transformers.SeamlessM4TFeatureExtractor()(clips, sampling_rate=16_000, return_tensors="pt")
    for clip, features, mask in zip(clips, theirs["input_features"], theirs["attention_mask"], strict=True):
        expected = features[mask.bool()]
        assert len(expected) == len(ours(clip))
        assert (ours(clip) - expected).abs().max() < 1e-4


def test_frames_are_normalized_and_joined_in_order() -> None:
    clip = torch.from_numpy(wave(16_080))  # 99 mel frames: the last finds no partner, but counts in the statistics
    single, pairs = stacked_fbank(clip, stack=1), stacked_fbank(clip)
    assert single.shape == (99, 80)
    assert pairs.shape == (49, 160)
    torch.testing.assert_close(single.mean(0), torch.zeros(80), atol=1e-5, rtol=0)
    torch.testing.assert_close(single.var(0), torch.ones(80), atol=1e-3, rtol=0)
    assert torch.equal(pairs[7], torch.cat([single[14], single[15]]))


def test_loudness_does_not_matter() -> None:
    torch.testing.assert_close(ours(wave(8_000)), ours(wave(8_000) * np.float32(0.25)), atol=2e-4, rtol=0)


def test_reach() -> None:
    assert stacked_reach() == (560, 320)
    for samples in (560, 879, 880, 1199, 1200):
        assert len(ours(wave(samples))) == (samples - 560) // 320 + 1 == num_mel_frames(samples) // 2
    assert len(ours(wave(559))) == 0


@settings(deadline=None, max_examples=20, derandomize=True)
@given(pieces=st.lists(st.integers(0, 3000), min_size=1, max_size=8).filter(lambda pieces: sum(pieces) >= 800))
def test_statistics_from_blocks_are_those_of_the_whole(pieces: list[int]) -> None:
    clip = wave(sum(pieces))
    statistics = MelStatistics()
    for block in np.split(clip, np.cumsum(pieces)[:-1]):
        statistics.update(block)
    whole = torch.from_numpy(clip)
    torch.testing.assert_close(stacked_fbank(whole, statistics=statistics), stacked_fbank(whole), rtol=1e-4, atol=1e-4)


def test_a_window_is_a_part_of_the_whole_and_alone_it_is_not() -> None:
    clip = wave(32_000)
    statistics = MelStatistics()
    statistics.update(clip)
    window = torch.from_numpy(clip[3_200:9_600])
    expected = ours(clip)[10 : 10 + len(ours(clip[3_200:9_600]))]
    torch.testing.assert_close(stacked_fbank(window, statistics=statistics), expected, rtol=1e-4, atol=1e-4)
    assert (stacked_fbank(window) - expected).norm() > 0.1 * expected.norm()


def test_scaled_statistics_are_those_of_the_scaled_clip() -> None:
    clip = wave(16_000)
    raw, scaled = MelStatistics(), MelStatistics()
    raw.update(clip)
    scaled.update((clip - 0.02) / 3)
    energies = fbank(torch.from_numpy(clip).double() * 2**15)
    torch.testing.assert_close(
        raw.scaled(0.02, 3).normalize(energies), scaled.normalize(energies), rtol=1e-4, atol=1e-4
    )

"""Spans of masked frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonant.errors import ConfigurationError
from sonant.layers.masking import SpanMasking


def runs(mask: np.ndarray) -> np.ndarray:
    """Lengths of the stretches of masked frames."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.view(np.int8), [0]])))
    return edges[1::2] - edges[::2]


@given(st.integers(0, 300), st.floats(0.05, 1), st.integers(1, 20), st.integers(0, 4), st.integers(0, 2**32))
def test_any_clip(num_frames: int, fraction: float, length: int, min_spans: int, seed: int) -> None:
    """The last frame is always seen, spans are whole, and there are about as many as asked for."""
    masking = SpanMasking(fraction=fraction, length=length, min_spans=min_spans)
    mask = masking.draw(num_frames, np.random.default_rng(seed))
    assert mask.dtype == bool
    assert mask.shape == (num_frames,)
    if num_frames:
        assert not mask[-1]
    wanted = max(min_spans, int(fraction * num_frames / length + 1))
    assert mask.sum() <= wanted * length
    if num_frames > 2 * (wanted + length):
        assert (runs(mask) >= length).all()
        if spans := max(min_spans, int(fraction * num_frames / length)):
            assert mask.sum() >= spans + length - 1  # starts are distinct


@given(st.integers(0, 2**32))
def test_distinct_starts(seed: int) -> None:
    """Spans of one frame do not overlap, so that all of them show, however many."""
    mask = SpanMasking(fraction=0.8, length=1).draw(100, np.random.default_rng(seed))
    assert mask.sum() == 80


@pytest.mark.parametrize(("fraction", "expected"), [(0.80, 0.566), (0.65, 0.492)])
def test_share_of_masked_frames(fraction: float, expected: float) -> None:
    """Measured with fairseq's function on clips of 781 frames (15.6 s), without its equalizing over a batch."""
    masking, rng = SpanMasking(fraction=fraction), np.random.default_rng(0)
    share = np.mean([masking.draw(781, rng).mean() for _ in range(2000)])
    assert share == pytest.approx(expected, abs=0.004)


def test_number_of_spans_is_right_on_average() -> None:
    """The fraction is kept on average even where it makes no whole number of spans: 2.4 spans of one frame."""
    masking, rng = SpanMasking(fraction=0.048, length=1, min_spans=0), np.random.default_rng(0)
    counts = [masking.draw(50, rng).sum() for _ in range(4000)]
    assert set(counts) == {2, 3}
    assert np.mean(counts) == pytest.approx(2.4, abs=0.03)


@pytest.mark.parametrize("num_frames", range(12))
def test_short_clips(num_frames: int) -> None:
    """From 3 frames on something is masked; never everything."""
    for seed in range(50):
        masked = SpanMasking().draw(num_frames, np.random.default_rng(seed)).sum()
        assert (0 < masked < num_frames) if num_frames >= 3 else masked == 0


def test_every_frame_but_the_last_can_be_masked() -> None:
    rng = np.random.default_rng(0)
    share = np.mean([SpanMasking().draw(50, rng) for _ in range(3000)], axis=0)
    assert (share[:-1] > 0).all()
    assert share[15:35] == pytest.approx(share[15:35].mean(), abs=0.05)


def test_same_seed_same_mask() -> None:
    first, second, other = (SpanMasking().draw(200, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("settings", [{"fraction": 0}, {"fraction": 1.1}, {"length": 0}])
def test_senseless_settings(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="fraction"):
        SpanMasking(**settings)


@given(st.lists(st.integers(3, 200), min_size=1, max_size=6), st.integers(0, 2**32))
def test_equal_masks_are_parts_of_the_unequal_ones_with_one_count(num_frames: list[int], seed: int) -> None:
    ends = np.cumsum(num_frames)[:-1]
    free, equal = (
        np.split(SpanMasking(equal=equal).draw_batch(num_frames, np.random.default_rng(seed)), ends)
        for equal in (False, True)
    )
    assert {mask.sum() for mask in equal} == {min(mask.sum() for mask in free)}
    assert not any((masked & ~before).any() for masked, before in zip(equal, free, strict=True))


def test_share_and_runs_of_equal_masks() -> None:
    """fairseq's function on 8 clips of 781 frames masks 53.1 % of the frames, in shorter runs than the 56.6 % alone."""
    masking, rng = SpanMasking(equal=True), np.random.default_rng(0)
    masks = [masking.draw_batch([781] * 8, rng) for _ in range(300)]
    assert np.mean(masks) == pytest.approx(0.531, abs=0.004)
    assert np.concatenate([runs(mask) for mask in masks]).mean() == pytest.approx(8.6, abs=0.5)

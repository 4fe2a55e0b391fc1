"""Windows over a long recording give every frame of the whole exactly once, each from where it has most context."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sonant.audio import Windowing, cut, keep
from sonant.errors import ConfigurationError, TooShortAudio


@st.composite
def windowings(draw):
    frames = draw(st.integers(1, 40))
    overlap = draw(st.integers(0, frames - 1))
    stride, field = draw(st.sampled_from([(320, 400), (160, 465), (1, 1), (7, 20), (10, 3)]))
    return Windowing(frames, overlap, stride, field)


@st.composite
def cases(draw):
    windowing = draw(windowings())
    samples = windowing.receptive_field + draw(st.integers(0, 150)) * windowing.stride + draw(st.integers(0, 400))
    return windowing, samples


def frames_of(samples, windowing):
    """A stand-in for a model: frame i is the samples it sees."""
    if len(samples) < windowing.receptive_field:
        return np.empty((0, windowing.receptive_field), samples.dtype)
    return np.lib.stride_tricks.sliding_window_view(samples, windowing.receptive_field)[:: windowing.stride]


@given(cases())
def test_every_frame_is_kept_exactly_once_and_in_order(case):
    windowing, samples = case
    kept = [window.first_frame + index for window in windowing.windows(samples) for index in range(window.keep_frames)]
    assert kept == list(range((samples - windowing.receptive_field) // windowing.stride + 1))


@given(cases())
def test_a_kept_frame_sees_the_same_samples_as_in_the_whole(case):
    windowing, samples = case
    recording = np.arange(samples)
    windows = windowing.windows(samples)
    pieces = [frames_of(recording[window.start_sample : window.end_sample], windowing) for window in windows]
    kept = [keep(piece, window) for piece, window in zip(pieces, windows, strict=True)]
    np.testing.assert_array_equal(np.concatenate(kept), frames_of(recording, windowing))


@given(cases())
def test_windows_lie_on_the_stride_inside_the_recording_and_are_equally_long(case):
    windowing, samples = case
    windows = windowing.windows(samples)
    for window in windows:
        assert window.start_sample % windowing.stride == 0
        assert 0 <= window.start_sample < window.end_sample <= samples
        assert window.keep_frames > 0
        assert window.first_frame == window.start_sample // windowing.stride + window.skip_frames
        length = windowing.num_frames(window.end_sample - window.start_sample)
        assert length == min(windowing.window_frames, windowing.num_frames(samples)), (
            "none is shorter, the last included"
        )
    assert windows[0].start_sample == 0
    assert windows[-1].end_sample == samples
    starts = [window.start_sample for window in windows]
    assert starts == sorted(set(starts))
    for left, right in pairwise(windows):
        shared = (left.end_sample - right.start_sample - windowing.receptive_field) // windowing.stride + 1
        assert shared >= windowing.overlap_frames


@given(cases())
def test_each_frame_comes_from_the_window_where_it_is_farthest_from_a_cut(case):
    windowing, samples = case
    windows, total = windowing.windows(samples), windowing.num_frames(samples)

    def context(window, frame):
        """Frames between this one and the nearest cut; the ends of the recording are no cuts."""
        first = window.start_sample // windowing.stride
        last = first + windowing.num_frames(window.end_sample - window.start_sample) - 1
        left = frame - first if first > 0 else total
        right = last - frame if last < total - 1 else total
        return min(left, right)

    for window in windows:
        for frame in range(window.first_frame, window.first_frame + window.keep_frames):
            assert context(window, frame) == max(context(other, frame) for other in windows)


@given(cases(), st.lists(st.integers(0, 9000), min_size=1))
def test_cutting_a_stream_is_cutting_the_whole(case, lengths):
    windowing, samples = case
    recording = np.arange(samples, dtype=np.float32)
    edges = np.cumsum(lengths).tolist()
    blocks = [recording[a:b] for a, b in zip([0, *edges], [*edges, samples], strict=True)]
    got = list(cut(iter(blocks), windowing))
    assert [window for window, _ in got] == windowing.windows(samples)
    for window, piece in got:
        np.testing.assert_array_equal(piece, recording[window.start_sample : window.end_sample])


def test_cutting_holds_little():
    windowing = Windowing.of_seconds(2.0, 0.5)
    given_out = 0

    def blocks():
        nonlocal given_out
        for _ in range(200):
            given_out += 8000
            yield np.zeros(8000, np.float32)

    for window, _ in cut(blocks(), windowing):
        assert given_out - window.start_sample <= windowing.window_samples + 2 * windowing.hop_samples + 8000


@given(
    window=st.floats(0.03, 60),
    overlap_share=st.floats(0, 0.9),
    rate=st.sampled_from([8000, 16000]),
    samples=st.integers(400, 10**7),
)
def test_seconds_are_kept_to(window, overlap_share, rate, samples):
    if round(window * rate) < 400 or window * overlap_share * rate > window * rate - 800:
        return
    windowing = Windowing.of_seconds(window, window * overlap_share, sampling_rate=rate)
    assert windowing.window_samples <= window * rate + 1 < windowing.window_samples + 322
    assert windowing.overlap_frames * 320 == pytest.approx(window * overlap_share * rate, abs=161)
    assert len(windowing.windows(samples)) <= max(1, samples / windowing.hop_samples + 1)


def test_an_hour_by_hand():
    windows = Windowing.of_seconds(30.0, 5.0).windows(3600 * 16000)
    assert len(windows) == 144
    assert sum(window.keep_frames for window in windows) == 179999
    assert windows[0].keep_frames == 1374
    assert windows[1].start_sample == 1249 * 320


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
@pytest.mark.parametrize("library", [np.asarray, torch.from_numpy])
def test_frames_are_kept_along_any_axis(axis, library):
    windowing = Windowing(10, 4)
    windows = windowing.windows(40000)
    whole = np.arange(windowing.num_frames(40000) * 3.0).reshape(-1, 3)
    whole = whole if axis % 2 == 0 else whole.T
    kept = []
    for window in windows:
        first = window.first_frame - window.skip_frames
        kept.append(keep(library(np.take(whole, range(first, first + 10), axis)), window, axis=axis))
    np.testing.assert_array_equal(np.concatenate(kept, axis), whole)


def test_a_piece_with_too_few_frames_is_refused():
    window = Windowing(10, 4).windows(40000)[1]
    with pytest.raises(ValueError, match="expected at least"):
        keep(np.zeros((5, 3)), window)


@pytest.mark.parametrize(
    ("window", "overlap"),
    [
        (0.0, 0.0),
        (0.02, 0.0),
        (-1.0, 0.0),
        (1.0, -0.5),
        (1.0, 1.0),
        (1.0, 2.0),
        (float("nan"), 0.0),
        (float("inf"), 1.0),
    ],
)
def test_impossible_seconds(window, overlap):
    with pytest.raises(ConfigurationError):
        Windowing.of_seconds(window, overlap)


@pytest.mark.parametrize("numbers", [(0, 0), (5, 5), (5, -1), (5, 0, 0), (5, 0, 320, 0)])
def test_impossible_numbers(numbers):
    with pytest.raises(ConfigurationError):
        Windowing(*numbers)


@pytest.mark.parametrize("samples", [-5, 0, 1, 79, 399])
def test_too_short_a_recording(samples):
    windowing = Windowing(10, 4)
    assert windowing.num_frames(samples) == 0
    with pytest.raises(TooShortAudio):
        windowing.windows(samples)
    with pytest.raises(TooShortAudio):
        list(cut(iter([np.zeros(max(0, samples), np.float32)]), windowing))

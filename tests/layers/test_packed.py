"""Packing loses nothing and knows where each clip lies."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed, lay_with_gaps, steps_at

lengths_of_clips = st.lists(st.integers(0, 9), min_size=1, max_size=6)


@settings(deadline=None)
@given(lengths_of_clips, st.sampled_from([(), (3,), (2, 3)]))
def test_pack_and_unpack(lengths: list[int], channels: tuple[int, ...]) -> None:
    clips = [torch.randn(length, *channels) for length in lengths]
    packed = Packed.pack(clips)
    assert len(packed) == len(clips)
    assert packed.lengths.dtype == torch.int64
    assert packed.sizes == packed.lengths.tolist() == lengths
    for clip, again in zip(clips, packed, strict=True):
        assert torch.equal(clip, again)
    for number, clip in enumerate(clips):
        assert torch.equal(packed.values[packed.offsets[number] : packed.offsets[number + 1]], clip)
        assert torch.equal(packed.values[packed.clip_of_step == number], clip)


@settings(deadline=None)
@given(lengths_of_clips)
def test_padded_and_back(lengths: list[int]) -> None:
    packed = Packed.pack([torch.randn(length, 2) + 5 for length in lengths])
    padded, given_lengths = packed.to_padded()
    assert padded.shape == (len(lengths), max(lengths), 2)
    for row, length in zip(padded, lengths, strict=True):
        assert not row[length:].any()
    again = Packed.from_padded(padded, given_lengths)
    assert torch.equal(again.values, packed.values)
    assert torch.equal(again.lengths, packed.lengths)


def test_padding_of_any_kind_is_left_behind() -> None:
    padded = torch.tensor([[1.0, 2.0, float("nan")], [3.0, 7.0, 7.0]])
    assert Packed.from_padded(padded, [2, 1]).values.tolist() == [1.0, 2.0, 3.0]


def test_clips_are_views() -> None:
    packed = Packed.pack([torch.zeros(2), torch.zeros(3)])
    packed.unpack()[1].fill_(1)
    assert packed.values.tolist() == [0, 0, 1, 1, 1]


def test_with_values() -> None:
    packed = Packed.pack([torch.zeros(2), torch.zeros(3)])
    assert packed.with_values(torch.arange(5)).unpack()[1].tolist() == [2, 3, 4]
    with pytest.raises(ConfigurationError, match=r"4 steps.*\[2, 3\].*add up to 5"):
        packed.with_values(torch.zeros(4))


def test_nothing_to_pack() -> None:
    with pytest.raises(ConfigurationError, match="at least one clip"):
        Packed.pack([])


@pytest.mark.parametrize("lengths", [[4, 4], [4, 4, 5], [4, 4, -1]])
def test_one_length_a_row(lengths: list[int]) -> None:
    with pytest.raises(ConfigurationError, match=r"a length for each row, from 0 to 4"):
        Packed.from_padded(torch.zeros(3, 4), lengths)


def test_what_is_no_tensor_is_named() -> None:
    with pytest.raises(ConfigurationError, match="got ndarray"):
        Packed.pack([np.zeros(4)])
    with pytest.raises(ConfigurationError, match="measures them itself"):
        Packed(torch.zeros(4), [4])


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), min_size=1, max_size=5))
def test_steps_at(clips: list[tuple[int, int]]) -> None:
    starts, lengths = (torch.tensor(column) for column in zip(*clips, strict=True))
    expected = [step for start, length in clips for step in range(start, start + length)]
    assert steps_at(starts, lengths).tolist() == expected


@given(lengths_of_clips, st.integers(0, 4), st.integers(0, 4))
def test_gaps_keep_clips_out_of_reach_of_each_other(lengths: list[int], before: int, after: int) -> None:
    """A window of `before` frames, the frame, and `after` frames sees zeros outside its clip."""
    frames = Packed(torch.arange(1.0, sum(lengths) + 1)[:, None], torch.tensor(lengths))
    stream, steps = lay_with_gaps(frames, before, after)
    assert torch.equal(stream[steps], frames.values)
    assert torch.count_nonzero(stream) == sum(lengths)
    for step, clip in zip(steps.tolist(), frames.clip_of_step.tolist(), strict=True):
        window = stream[step - before : step + after + 1]
        assert len(window) == before + after + 1
        assert set(window[window > 0].tolist()) <= set(frames.unpack()[clip].flatten().tolist())

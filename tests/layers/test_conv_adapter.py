"""The adapter shortens every clip as if it were alone."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant.errors import TooShortAudio
from sonant.layers.attention import SelfAttention
from sonant.layers.conv_adapter import ConvAdapter, ConvAdapterLayer, GatedConvLayer, StridedGate
from sonant.layers.packed import Packed
from sonant.layers.transformer import FeedForward


def adapter(layers: int, *, adapter_dim: int = 8) -> ConvAdapter:
    torch.manual_seed(0)
    made = [
        ConvAdapterLayer(
            adapter_dim,
            SelfAttention(adapter_dim, 2),
            FeedForward(adapter_dim, 9, activation="relu"),
            kernel=3,
            stride=2,
        )
        for _ in range(layers)
    ]
    return ConvAdapter(8, adapter_dim, made, feed_forward=FeedForward(8, 9, activation="relu")).eval()


def frames(lengths: list[int]) -> Packed:
    return Packed.pack(torch.randn(n, 8, generator=torch.Generator().manual_seed(n)) for n in lengths)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.integers(5, 30), min_size=1, max_size=5), st.integers(1, 5), st.integers(1, 4), st.integers(0, 2))
@torch.no_grad()
def test_the_convolution_is_that_of_each_clip(lengths: list[int], kernel: int, stride: int, margin: int) -> None:
    torch.manual_seed(0)
    gate, packed = StridedGate(8, kernel=kernel, stride=stride, margin=margin), frames(lengths)
    given_clips = gate.shortened(packed).unpack()
    for clip, short in zip(packed, given_clips, strict=True):
        expected = F.glu(F.conv1d(clip.T[None], gate.weight, gate.bias, stride, margin), dim=1)[0].T
        torch.testing.assert_close(short, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("adapter_dim", [8, 6])
@torch.no_grad()
def test_a_clip_alone_equals_the_clip_in_a_batch(adapter_dim: int) -> None:
    made, packed = adapter(2, adapter_dim=adapter_dim), frames([1, 7, 8, 31])
    together = made(packed)
    assert together.sizes == [1, 2, 2, 8]
    assert together.values.shape[1] == adapter_dim
    for clip, expected in zip(packed, together, strict=True):
        torch.testing.assert_close(made(Packed.pack([clip])).values, expected, rtol=1e-4, atol=1e-5)


def test_too_few_frames_are_refused() -> None:
    gate = StridedGate(8, kernel=5, stride=2, margin=1)
    assert gate.shortened(frames([3])).sizes == [1]
    with pytest.raises(TooShortAudio, match="needs 3"):
        gate.shortened(frames([9, 2]))


@pytest.mark.parametrize(("kernel", "stride", "layers"), [(3, 2, 3), (5, 2, 2), (4, 3, 2), (7, 4, 1)])
@torch.no_grad()
def test_what_is_said_of_lengths_holds(kernel: int, stride: int, layers: int) -> None:
    made = ConvAdapter(8, 8, [GatedConvLayer(8, kernel=kernel, stride=stride) for _ in range(layers)])
    assert made.stride == stride**layers
    for count in (1, 2, 5):
        needed = made.frames_for(count)
        assert made(frames([needed])).sizes == [count]
        if needed > 1 and count > 1:
            assert made(frames([needed - 1])).sizes == [count - 1]
    if made.frames_for(1) > 1:
        with pytest.raises(TooShortAudio):
            made(frames([made.frames_for(1) - 1]))

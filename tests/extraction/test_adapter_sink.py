"""The output of an adapter on frames that come in blocks equals that on all at once."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sonant.extraction.adapter_sink import AdapterSink
from sonant.layers.attention import SelfAttention
from sonant.layers.conv_adapter import ConvAdapter, ConvAdapterLayer, GatedConvLayer
from sonant.layers.packed import Packed
from sonant.layers.transformer import FeedForward


class Joined:
    """Keeps what comes; `settled` says how many frames that was."""

    def __init__(self) -> None:
        self.blocks: list[Tensor] = []

    def append(self, frames: Tensor) -> None:
        self.blocks.append(frames)

    def settled(self) -> int:
        return sum(block.shape[1] for block in self.blocks)

    def finish(self) -> Tensor:
        return torch.cat(self.blocks, dim=1)[0]

    def abandon(self) -> None:
        self.blocks.clear()


def in_blocks(adapter: ConvAdapter, frames: Tensor, sizes: list[int]) -> Any:
    sink = AdapterSink(lambda _: adapter, Joined())
    for block in frames.split(sizes):
        sink.append(block[None])
    return sink.finish()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=8),
    st.integers(1, 5),
    st.integers(1, 6),
    st.integers(1, 3),
    st.sampled_from([8, 6]),
)
@torch.no_grad()
def test_blocks_of_any_size_give_the_same(sizes: list[int], kernel: int, stride: int, layers: int, width: int) -> None:
    torch.manual_seed(0)
    adapter = ConvAdapter(8, width, [GatedConvLayer(width, kernel=kernel, stride=stride) for _ in range(layers)]).eval()
    sizes[-1] += adapter.frames_for(1)
    frames = torch.randn(sum(sizes), 8)
    torch.testing.assert_close(in_blocks(adapter, frames, sizes), adapter(Packed.pack([frames])).values)


@torch.no_grad()
def test_convolutions_alone_keep_no_frames_and_tell_them_as_they_come() -> None:
    adapter = ConvAdapter(8, 8, [GatedConvLayer(8, kernel=3, stride=2) for _ in range(3)])
    sink = AdapterSink(lambda _: adapter, Joined())
    for number in range(1, 6):
        sink.append(torch.randn(1, 80, 8))
        assert abs(sink.settled() - 10 * number) <= 1
        assert sum(block.numel() for block in sink._blocks) == 0


@torch.no_grad()
def test_a_sink_that_needs_all_at_once_gets_one_block() -> None:
    adapter = ConvAdapter(8, 8, [GatedConvLayer(8, kernel=3, stride=2)])
    joined, frames = Joined(), torch.randn(40, 8)
    sink = AdapterSink(lambda _: adapter, joined, at_once=True)
    for block in frames.split([13, 27]):
        sink.append(block[None])
    found = sink.finish()
    assert len(joined.blocks) == 1
    torch.testing.assert_close(found, adapter(Packed.pack([frames])).values)


@pytest.mark.parametrize("sizes", [[40], [13, 27], [1, 1, 38]])
@torch.no_grad()
def test_attention_sees_the_whole_recording(sizes: list[int]) -> None:
    torch.manual_seed(0)
    layer = ConvAdapterLayer(
        8, SelfAttention(8, 2), FeedForward(8, 9, activation="relu", dropout=0.5), kernel=3, stride=2, dropout=0.5
    )
    adapter = ConvAdapter(8, 8, [layer])  # in training mode, as a model that is being fine-tuned
    frames = torch.randn(sum(sizes), 8)
    given_frames = in_blocks(adapter, frames, sizes)
    assert adapter.training
    torch.testing.assert_close(given_frames, adapter.eval()(Packed.pack([frames])).values)

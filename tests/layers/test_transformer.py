"""A compiled encoder gives what it gives otherwise, by graphs in which the lengths of the clips are no constants."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounter

from sonant.layers import attention
from sonant.layers.attention import SelfAttention
from sonant.layers.packed import Packed
from sonant.layers.positions import ConvPositions, PositionGate, RelativePositions
from sonant.layers.transformer import CLIPS, FeedForward, TransformerEncoder, TransformerLayer

DIM, HEADS, TOTAL = 16, 2, 60
BATCHES = [[20, 30, 10], [30, 30], [1, 9, 50], [TOTAL], [5] * 12, [0, 33, 27]]


@pytest.fixture(autouse=True)
def fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture
def encoder() -> TransformerEncoder:
    """Of WavLM."""
    torch.manual_seed(0)

    def layer() -> TransformerLayer:
        mixing = SelfAttention(DIM, HEADS, gate=PositionGate(DIM, HEADS))
        return TransformerLayer(DIM, mixing, FeedForward(DIM, 2 * DIM), pre_norm=True)

    positions = ConvPositions(DIM, kernel=4, groups=2)
    bias = RelativePositions(HEADS, num_buckets=16, max_distance=20)
    return TransformerEncoder(DIM, 3, layer, positions, relative_positions=bias, pre_norm=True)


def frames_of(lengths: list[int]) -> Packed:
    generator = torch.Generator().manual_seed(len(lengths))
    return Packed(torch.randn(sum(lengths), DIM, generator=generator), torch.tensor(lengths))


def gradients(encoder: TransformerEncoder, frames: Packed) -> list[Tensor]:
    """The last state and, of its square, the gradient to every weight."""
    last = encoder(frames, (), last=True)[1]
    return [last, *torch.autograd.grad(last.square().sum(), list(encoder.parameters()))]


@pytest.mark.slow
def test_new_lengths_compile_nothing_anew(encoder: TransformerEncoder) -> None:
    """Neither do other numbers of clips, nor further layers; states are equal to the bit, gradients to rounding."""
    counter, counts = CompileCounter(), []
    for lengths in BATCHES:
        frames = frames_of(lengths)
        expected = gradients(encoder, frames)
        with encoder.compiled(counter):
            ours = gradients(encoder, frames)
        counts.append(counter.frame_count)
        assert torch.equal(ours[0], expected[0])
        for a, b in zip(ours, expected, strict=True):
            assert (a - b).abs().max() <= 1e-6 * b.abs().max()
    assert 0 < counts[0] < 2 * len(encoder.layers) + 3
    assert set(counts) == {counts[0]}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_on_a_gpu_attention_is_part_of_the_graph(encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """By FlexAttention, which runs here as well: one graph for all layers."""
    monkeypatch.setattr(attention, "kernel_for", lambda *_, **__: "flex")
    counter = CompileCounter()
    with torch.no_grad():
        for lengths in BATCHES:
            frames = frames_of(lengths)
            expected = encoder(frames, (), last=True)[1]
            with encoder.compiled(counter):
                assert torch.equal(encoder(frames, (), last=True)[1], expected)
    assert counter.frame_count == 1


def test_offsets_are_filled_up_with_empty_clips() -> None:
    frames = Packed(torch.zeros(7), torch.tensor([3, 4]))
    assert frames.padded_offsets(4).tolist() == [0, 3, 7, 7, 7]
    assert frames.padded_offsets(2).tolist() == [0, 3, 7]
    assert len(frames.padded_offsets(CLIPS)) == CLIPS + 1

"""The conformer block over packed clips equals its formulae on each clip alone."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sonant.layers.attention import SelfAttention, attend
from sonant.layers.conformer import ConformerEncoder, ConformerLayer, ConvModule, conformer_reference
from sonant.layers.packed import Packed
from sonant.layers.positions import RelativeKeys
from sonant.layers.transformer import FeedForward

clip_lengths = st.lists(st.one_of(st.integers(1, 50), st.just(9)), min_size=1, max_size=5)


def layer(dim: int = 12, heads: int = 3, kernel: int = 7, *, left: int = 6, right: int = 2) -> ConformerLayer:
    """One with weights that leave no part without effect."""
    torch.manual_seed(0)
    keys = RelativeKeys(dim // heads, left=left, right=right)
    made = ConformerLayer(
        dim,
        SelfAttention(dim, heads, relative_keys=keys),
        ConvModule(dim, kernel=kernel),
        lambda: FeedForward(dim, 20, activation="swish"),
    )
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.5)
    return made.eval()


def frames(lengths: list[int], dim: int = 12, seed: int = 0) -> Packed:
    return Packed.pack(torch.randn(n, dim, generator=torch.Generator().manual_seed(seed + n)) for n in lengths)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(clip_lengths, st.sampled_from([1, 2, 7, 31]), st.integers(0, 70), st.integers(0, 9))
@torch.no_grad()
def test_packed_equals_the_formulae_on_each_clip(lengths: list[int], kernel: int, left: int, right: int) -> None:
    block, packed = layer(kernel=kernel, left=left, right=right), frames(lengths)
    expected = torch.cat([conformer_reference(block, clip) for clip in packed])
    torch.testing.assert_close(block(packed), expected, rtol=1e-4, atol=1e-5)


def test_gradients_equal_those_of_the_formulae() -> None:
    block, packed = layer().double(), frames([9, 1, 23])
    packed = packed.with_values(packed.values.double())
    weights = torch.randn_like(packed.values)
    parameters = list(block.parameters())
    ours = torch.autograd.grad((block(packed) * weights).sum(), parameters)
    alone = torch.cat([conformer_reference(block, clip) for clip in packed])
    for one, other in zip(ours, torch.autograd.grad((alone * weights).sum(), parameters), strict=True):
        torch.testing.assert_close(one, other)


@torch.no_grad()
def test_the_convolution_sees_the_past_alone_and_so_much_of_it() -> None:
    conv, packed = layer(kernel=5).conv, frames([20])
    before = conv(packed)
    changed = packed.values.clone()
    changed[8, 0] += 1
    differs = (conv(packed.with_values(changed)) - before).abs().amax(1) > 1e-6
    assert differs.nonzero().flatten().tolist() == [8, 9, 10, 11, 12]


@torch.no_grad()
def test_clips_do_not_leak_through_the_convolution() -> None:
    conv = layer(kernel=31).conv
    first, second, third = frames([4, 9, 40]).unpack()
    together = Packed(conv(Packed.pack([first, second, third])), torch.tensor([4, 9, 40])).unpack()
    for clip, given_frames in zip((first, second, third), together, strict=True):
        torch.testing.assert_close(given_frames, conv(Packed.pack([clip])))


def encoder(**options: float) -> ConformerEncoder:
    return ConformerEncoder(3, layer, **options)


def test_states_are_numbered_and_the_last_is_the_output() -> None:
    made, packed = encoder().eval(), frames([5, 8])
    states, last = made(packed, {0, 1, 2, 3}, last=True)
    assert list(states) == [0, 1, 2, 3]
    assert torch.equal(states[0], packed.values)
    assert torch.equal(states[2], made.layers[1](packed.with_values(states[1])))
    assert last is not None
    assert torch.equal(last, states[3])
    early, none = made(packed, {1}, last=False)
    assert none is None
    assert torch.equal(early[1], states[1])


def test_dropped_layers_hand_on_their_input() -> None:
    packed = frames([5])
    states, _ = encoder(layerdrop=1.0).train()(packed, {0, 3}, last=False)
    assert torch.equal(states[0], states[3])
    states, _ = encoder(layerdrop=1.0).eval()(packed, {0, 3}, last=False)
    assert not torch.equal(states[0], states[3])


def test_dropout_reaches_every_branch() -> None:
    """In training each dropout of a layer is used: with everything dropped, only the residual stays."""
    block = layer().train()
    for part in block.modules():
        if isinstance(part, nn.Dropout):
            part.p = 1.0
    packed = frames([6])
    torch.testing.assert_close(block(packed), block.norm(packed.values))


def test_relative_keys_are_scaled_products_and_end_at_their_reach() -> None:
    """Beyond their reach distances are told apart no more."""
    torch.manual_seed(0)
    keys = RelativeKeys(4, left=2, right=1)
    query = torch.randn(5, 2, 4)
    scores = keys.bias(query).scores  # distances -2, -1, 0 and 1
    for i, head, number in ((0, 0, 3), (4, 1, 0), (2, 1, 2)):
        expected = query[i, head] @ keys.weight[number] / 2  # the root of 4 dimensions
        torch.testing.assert_close(scores[i, head, number], expected)
    logits = torch.zeros(5, 2, 4)
    identity = torch.eye(5)[:, None].expand(5, 2, 5)
    weights = attend(logits, logits, identity, [5], keys.bias(query))[4, 0]  # of the last query, over the keys
    assert torch.equal(weights[:2], weights[2:3].expand(2))
    assert len(weights.unique()) == 3

"""w2v-BERT 2.0 equals transformers' Wav2Vec2BertModel on the same weights: every hidden state, and the adapter."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import SeamlessM4TFeatureExtractor

from sonant.benchmark.deviation import relative_error
from sonant.benchmark.peers import peer_states, transformers_model
from sonant.benchmark.subjects import exaggerate
from sonant.layers.packed import Packed
from sonant.models import W2vBERT2, W2vBERT2Config, build

TOLERANCE = 1e-5
SMALL = W2vBERT2Config(dim=24, num_layers=3, num_heads=3, feed_forward_dim=40, conv_kernel=7)


def model(config: W2vBERT2Config, seed: int = 0) -> W2vBERT2:
    torch.manual_seed(seed)
    backbone = build(config)
    assert isinstance(backbone, W2vBERT2)
    return exaggerate(backbone, seed)


def clips(sizes: list[int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(size, generator=generator) * 0.1 for size in sizes]


@torch.no_grad()
def assert_parity(config: W2vBERT2Config, sizes: list[int], seed: int = 0) -> None:
    """Clips in one batch of ours against each alone in transformers, every state, on the same features."""
    backbone, waveforms = model(config, seed), clips(sizes)
    peer = transformers_model(backbone)
    features = backbone.extractor(Packed.pack(waveforms))
    ours = backbone.encode(features)
    assert list(ours.hidden_states) == list(range(config.num_layers + 1))
    states = {name: Packed(state, ours.lengths).unpack() for name, state in ours.hidden_states.items()}
    last = (backbone.adapted(ours) if config.adapter_layers else Packed(ours.last, ours.lengths)).unpack()
    for number, own in enumerate(features):
        theirs = peer_states(peer, own[None])
        given_states = {name: parts[number] for name, parts in states.items()} | {"last": last[number]}
        assert given_states.keys() == theirs.keys()
        for name, expected in theirs.items():
            assert given_states[name].shape == expected[0].shape
            error = relative_error(given_states[name], expected[0])
            assert error <= TOLERANCE, f"state {name} of a clip of {len(own)} frames: {error:.1e}"


@st.composite
def shapes(draw: st.DrawFn) -> W2vBERT2Config:
    """Small models of any proportions that both can build (transformers wants odd kernels)."""
    heads, head_dim = draw(st.sampled_from([(1, 8), (2, 4), (3, 5), (4, 8), (5, 3)]))
    adapter_layers = draw(st.sampled_from([0, 0, 1, 3]))
    return W2vBERT2Config(
        dim=heads * head_dim,
        num_layers=draw(st.integers(1, 4)),
        num_heads=heads,
        feed_forward_dim=draw(st.integers(1, 40)),
        conv_kernel=draw(st.sampled_from([1, 3, 7, 31])),
        left_reach=draw(st.sampled_from([0, 1, 5, 64])),
        right_reach=draw(st.sampled_from([0, 2, 8])),
        layer_norm_eps=draw(st.sampled_from([1e-5, 1e-6, 1e-2])),
        adapter_layers=adapter_layers,
        adapter_dim=draw(st.sampled_from([None, 2 * heads * head_dim])) if adapter_layers else None,
        adapter_feed_forward=draw(st.booleans()) if adapter_layers else False,
    )


@settings(max_examples=25, deadline=None, derandomize=True)
@given(shapes(), st.lists(st.integers(560, 40_000), min_size=1, max_size=3), st.integers(0, 9999))
def test_any_shape(config: W2vBERT2Config, sizes: list[int], seed: int) -> None:
    assert_parity(config, sizes, seed)


@torch.no_grad()
def test_from_the_waveform_on() -> None:
    """Each with its own features; several clips in transformers' own padded batch.

    Without the adapter: its convolutions see the padding there, and change the end of every clip but the longest.
    """
    backbone, waveforms = model(SMALL), clips([20_000, 9_321, 16_081])
    theirs = SeamlessM4TFeatureExtractor()(
        [clip.numpy() for clip in waveforms], sampling_rate=16_000, return_tensors="pt"
    )
    ours = backbone(Packed.pack(waveforms), layers=["last"])
    assert ours.last is not None
    states = peer_states(transformers_model(backbone), theirs["input_features"], theirs["attention_mask"])
    for number, frames in enumerate(Packed(ours.last, ours.lengths)):
        assert int(theirs["attention_mask"][number].sum()) == len(frames)
        assert relative_error(frames, states["last"][number, : len(frames)]) < 1e-4


@torch.no_grad()
def test_masked_frames() -> None:
    """Frames are masked where theirs are: behind the projection."""
    backbone = model(SMALL)
    features = backbone.extractor(Packed.pack(clips([9_000])))
    mask = torch.rand(len(features.values), generator=torch.Generator().manual_seed(1)) < 0.4
    peer = transformers_model(backbone)
    theirs = peer(features.values[None], mask_time_indices=mask[None]).last_hidden_state[0]
    ours = backbone.encode(features, mask=mask).last
    assert ours is not None
    assert relative_error(ours, theirs) <= TOLERANCE
    assert relative_error(ours, peer(features.values[None]).last_hidden_state[0]) > 0.01


def test_published_width() -> None:
    """The published model, but for the number of layers."""
    assert_parity(replace(W2vBERT2Config(), num_layers=1, adapter_layers=1), [12_345, 1_600])


@pytest.mark.slow
def test_published_shape() -> None:
    """All 24 layers, from 0.1 to 20 seconds."""
    assert_parity(W2vBERT2Config(), [1_600, 20_801, 112_345, 320_000])

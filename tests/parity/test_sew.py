"""SEW equals transformers' SEWModel on the same weights, in every hidden state and the output."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant.benchmark.deviation import relative_error
from sonant.benchmark.peers import peer_states, twin
from sonant.benchmark.subjects import exaggerate
from sonant.layers.packed import Packed
from sonant.models import SEWConfig, build, sew

TOLERANCE = 1e-5
PUBLISHED = {"tiny": SEWConfig(), "small": sew.SMALL, "mid": sew.MID}


@st.composite
def shapes(draw: st.DrawFn) -> SEWConfig:
    """Small models of any proportions that both can build."""
    heads, head_dim = draw(st.sampled_from([(1, 8), (2, 4), (3, 6), (4, 8)]))
    dim = heads * head_dim
    return SEWConfig(
        conv_channels=(8,) * 12 + (draw(st.sampled_from([8, dim])),),
        conv_bias=draw(st.booleans()),
        extractor_norm=draw(st.sampled_from(["group", "layer"])),
        dim=dim,
        num_layers=draw(st.integers(1, 4)),
        num_heads=heads,
        feed_forward_dim=draw(st.integers(1, 40)),
        squeeze_factor=draw(st.sampled_from([1, 2, 2, 3, 4])),
        position_kernel=draw(st.sampled_from([1, 2, 7, 31, 128])),
        position_groups=draw(st.sampled_from([1, 2])),
        layer_norm_eps=draw(st.sampled_from([1e-5, 1e-2])),
    )


@torch.no_grad()
def assert_parity(config: SEWConfig, sizes: list[int], seed: int = 0) -> None:
    """Clips in one batch of ours against each alone in transformers, every state."""
    torch.manual_seed(seed)
    backbone = exaggerate(build(config), seed)
    peer, clips = twin(backbone), [torch.randn(size) for size in sizes]
    ours = backbone(Packed.pack(clips))
    assert ours.last is not None
    states = {name: Packed(x, ours.lengths).unpack() for name, x in {**ours.hidden_states, "last": ours.last}.items()}
    for number, clip in enumerate(clips):
        theirs = peer_states(peer, clip[None])
        assert states.keys() == theirs.keys()
        for name, (expected, *_) in theirs.items():
            given_frames = states[name][number]
            if name != "last":  # each of theirs stands for so many frames of the extractor
                place = torch.arange(len(given_frames)) // config.squeeze_factor
                expected = expected[place.clamp(max=len(expected) - 1)]  # noqa: PLW2901
            assert given_frames.shape == expected.shape
            error = relative_error(given_frames, expected)
            assert error <= TOLERANCE, f"state {name} of a clip of {len(clip)} samples: {error:.1e}"


@settings(max_examples=25, deadline=None, derandomize=True)
@given(shapes(), st.lists(st.integers(1360, 9000), min_size=1, max_size=3), st.integers(0, 9999))
def test_any_shape(config: SEWConfig, sizes: list[int], seed: int) -> None:
    """From four frames on: transformers fails where there are fewer than the squeeze factor."""
    assert_parity(config, sizes, seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_width(name: str) -> None:
    """The published models, but for the number of layers."""
    assert_parity(replace(PUBLISHED[name], num_layers=2), [1600, 12_345])


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_shape(name: str) -> None:
    """The published models, from 0.1 to 30 seconds."""
    assert_parity(PUBLISHED[name], [1600, 20_801, 112_345, 480_000])

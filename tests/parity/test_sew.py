"""SEW equals transformers' SEWModel on the same weights, in every hidden state and the output."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant.models import SEWConfig, sew
from tests.parity.states import assert_parity

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

"""wav2vec 2.0 Conformer equals transformers' Wav2Vec2ConformerModel on the same weights, in every hidden state."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant.models import Wav2Vec2ConformerConfig
from sonant.models.wav2vec2_conformer import RELATIVE_LARGE, ROTARY_LARGE
from tests.parity.states import assert_parity

PUBLISHED = {"relative": RELATIVE_LARGE, "rotary": ROTARY_LARGE}


@st.composite
def shapes(draw: st.DrawFn) -> Wav2Vec2ConformerConfig:
    """Small models of any proportions that both can build."""
    heads, head_dim = draw(st.sampled_from([(1, 8), (2, 4), (3, 6), (4, 8), (5, 2)]))
    return Wav2Vec2ConformerConfig(
        conv_channels=(8,) * 7,
        conv_bias=draw(st.booleans()),
        extractor_norm=draw(st.sampled_from(["group", "layer"])),
        dim=heads * head_dim,
        num_layers=draw(st.integers(1, 4)),
        num_heads=heads,
        feed_forward_dim=draw(st.integers(1, 40)),
        activation=draw(st.sampled_from(["swish", "gelu", "relu"])),
        conv_kernel=draw(st.sampled_from([1, 3, 7, 31])),
        positions=draw(st.sampled_from(["relative", "rotary", None])),
        rotary_base=draw(st.sampled_from([10_000, 100])),
        layer_norm_eps=draw(st.sampled_from([1e-5, 1e-2])),
    )


@settings(max_examples=25, deadline=None, derandomize=True)
@given(shapes(), st.lists(st.integers(400, 9000), min_size=1, max_size=3), st.integers(0, 9999))
def test_any_shape(config: Wav2Vec2ConformerConfig, sizes: list[int], seed: int) -> None:
    assert_parity(config, sizes, seed)


@pytest.mark.parametrize("positions", ["relative", "rotary"])
def test_a_minute(positions: str) -> None:
    """Positions are as exact at the end of a long clip as at its beginning."""
    sizes = {"conv_channels": (8,) * 7, "dim": 16, "num_layers": 1, "num_heads": 2, "feed_forward_dim": 8}
    assert_parity(Wav2Vec2ConformerConfig(**sizes, positions=positions), [960_000])


@pytest.mark.slow
@pytest.mark.parametrize("positions", PUBLISHED)
def test_published_width(positions: str) -> None:
    """The published models, but for the number of layers."""
    assert_parity(replace(PUBLISHED[positions], num_layers=2), [1600, 12_345])


@pytest.mark.slow
@pytest.mark.parametrize("positions", PUBLISHED)
def test_published_shape(positions: str) -> None:
    """All 24 layers, from 0.1 to 20 seconds."""
    assert_parity(PUBLISHED[positions], [1600, 20_801, 112_345, 320_000])

"""Our backbones equal those of transformers on the same weights, in every hidden state."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant.models import (
    Data2VecConfig,
    HuBERTConfig,
    Wav2Vec2Config,
    WaveformTransformerConfig,
    WavLMConfig,
    hubert,
    wav2vec2,
    wavlm,
)
from tests.parity.states import assert_parity

FAMILIES = (WavLMConfig, HuBERTConfig, Wav2Vec2Config, Data2VecConfig)
PUBLISHED = {
    "WavLM Base": WavLMConfig(),
    "WavLM Large": wavlm.LARGE,
    "HuBERT Base": HuBERTConfig(),
    "HuBERT Large": hubert.LARGE,
    "DistilHuBERT": hubert.DISTILHUBERT,
    "mHuBERT, 25 Hz": hubert.MHUBERT_25HZ,
    "data2vec Base": Data2VecConfig(),
    "wav2vec 2.0 Base": Wav2Vec2Config(),
    "wav2vec 2.0 Large (LS-960)": wav2vec2.LARGE_LS960,
    "wav2vec 2.0 Large (LV-60)": wav2vec2.LARGE_LV60,
}
STACKS = (
    ((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)),
    ((10, 3, 2), (5, 4, 2)),
    ((7, 5, 4, 1), (3, 2, 3, 1)),
)


@st.composite
def shapes(draw: st.DrawFn, family: type[WaveformTransformerConfig]) -> WaveformTransformerConfig:
    """Small models of any proportions that both can build.

    Not below 8 channels: a norm over two or three of them may divide by next to nothing, and magnify any rounding.
    """
    kernels, strides = draw(st.sampled_from(STACKS))
    heads, head_dim = draw(
        st.sampled_from(
            [(heads, size) for heads in range(1, 7) for size in (1, 3, 4, 5, 7, 8, 13) if heads * size >= 8]
        )
    )
    dim = heads * head_dim
    own = {}
    if family is WavLMConfig:
        buckets, distance = draw(st.sampled_from([(320, 800), (320, 1280), (32, 128), (8, 20)]))
        own = {"num_buckets": buckets, "max_distance": distance}
    if family is HuBERTConfig:
        own = {"projection_norm": draw(st.booleans()), "position_norm": draw(st.sampled_from(["weight", "batch"]))}
    norms = {"extractor_norm": draw(st.sampled_from(["group", "layer"])), "pre_norm": draw(st.booleans())}
    if family is Data2VecConfig:
        own, norms = {"position_depth": draw(st.integers(1, 4))}, {}
    return family(
        conv_channels=tuple(draw(st.lists(st.integers(8, 16), min_size=len(kernels), max_size=len(kernels)))),
        conv_kernels=kernels,
        conv_strides=strides,
        conv_bias=draw(st.booleans()),
        dim=dim,
        num_layers=draw(st.integers(1, 5)),
        num_heads=heads,
        feed_forward_dim=draw(st.integers(1, 40)),
        position_kernel=draw(st.sampled_from([1, 2, 3, 8, 15, 128])),
        position_groups=draw(st.sampled_from([groups for groups in range(1, dim + 1) if dim % groups == 0])),
        layer_norm_eps=draw(st.sampled_from([1e-5, 1e-6, 1e-2])),
        **norms,
        **own,
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_any_shape(family: type[WaveformTransformerConfig]) -> None:
    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(shapes(family), st.lists(st.integers(400, 9000), min_size=1, max_size=3), st.integers(0, 9999))
    def holds(config: WaveformTransformerConfig, sizes: list[int], seed: int) -> None:
        assert_parity(config, sizes, seed)

    holds()


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_width(name: str) -> None:
    """The published models, but for the number of layers."""
    assert_parity(replace(PUBLISHED[name], num_layers=2), [1600, 12_345])


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_shape(name: str) -> None:
    """The published models, from 0.1 to 30 seconds."""
    assert_parity(PUBLISHED[name], [1600, 20_801, 112_345, 480_000])

"""Statistics gathered in blocks normalize a window as the whole clip is normalized."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant.errors import ConfigurationError
from sonant.layers.clip_statistics import ConvStatistics
from sonant.layers.conv_extractor import ConvExtractor
from sonant.layers.packed import Packed

KERNELS, STRIDES = (10, 3, 2), (5, 2, 2)


def extractor(*, bias: bool = False, norm: str = "group") -> ConvExtractor:
    torch.manual_seed(0)
    made = ConvExtractor((8, 8, 8), KERNELS, STRIDES, bias=bias, norm=norm)
    for parameter in made.layers[0].norm.parameters():
        torch.nn.init.normal_(parameter, 1.0, 0.3)
    return made


def wave(samples: int, offset: float) -> np.ndarray:
    rng = np.random.default_rng(samples)
    return (offset + np.linspace(0.01, 1, samples) * rng.standard_normal(samples)).astype(np.float32)


@settings(deadline=None, max_examples=40)
@given(
    pieces=st.lists(st.integers(0, 400), min_size=1, max_size=8).filter(lambda pieces: sum(pieces) >= 60),
    offset=st.sampled_from([0.0, 2.0]),
    bias=st.booleans(),
)
@torch.no_grad()
def test_blocks_of_any_size_give_the_norm_of_the_whole(pieces: list[int], offset: float, bias: bool) -> None:
    model, clip = extractor(bias=bias), wave(sum(pieces), offset)
    statistics = model.clip_statistics()
    for block in np.split(clip, np.cumsum(pieces)[:-1]):
        statistics.update(block)
    speech = Packed.pack([torch.from_numpy(clip)])
    torch.testing.assert_close(
        model(speech, statistics=[statistics]).values, model(speech).values, rtol=1e-4, atol=1e-4
    )


@torch.no_grad()
def test_a_window_is_a_part_of_the_whole_and_alone_it_is_not() -> None:
    model, clip = extractor(), wave(4000, 0.1)
    statistics = model.clip_statistics()
    statistics.update(clip)
    whole = model(Packed.pack([torch.from_numpy(clip)])).values
    window = Packed.pack([torch.from_numpy(clip[2000:])])
    alone = model(window).values
    torch.testing.assert_close(model(window, statistics=[statistics]).values, whole[100:], rtol=1e-4, atol=1e-4)
    assert (alone - whole[100:]).norm() > 0.1 * whole[100:].norm()


@torch.no_grad()
def test_each_clip_of_a_batch_has_its_own() -> None:
    """Windows of two clips and a whole one in one pass."""
    model, clips = extractor(bias=True), [wave(4000, 0.1), wave(3000, 2.0), wave(900, 0.5)]
    known = [model.clip_statistics(), model.clip_statistics(), None]
    wholes = []
    for clip, statistics in zip(clips, known, strict=True):
        wholes.append(model(Packed.pack([torch.from_numpy(clip)])).values)
        if statistics is not None:
            statistics.update(clip)
    windows = Packed.pack(torch.from_numpy(clip) for clip in (clips[0][2000:], clips[1][1000:], clips[2]))
    together = model(windows, statistics=known)
    parts = together.values.split(together.lengths.tolist())
    for part, expected in zip(parts, (wholes[0][100:], wholes[1][50:], wholes[2]), strict=True):
        torch.testing.assert_close(part, expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(ConfigurationError, match="3 clips were given with 1"):
        model(windows, statistics=known[:1])


def test_scaled_statistics_are_those_of_the_scaled_clip() -> None:
    clip = wave(900, 0.5).astype(np.float64)
    raw, scaled = ConvStatistics(10, 5), ConvStatistics(10, 5)
    raw.update(clip)
    scaled.update((clip - 0.4) / 3)
    conv = torch.nn.Conv1d(1, 4, 10, 5)
    stream, one = torch.randn(1, 4, 7), torch.ones(4)
    torch.testing.assert_close(
        raw.scaled(0.4, 3).normalize(stream, conv, one, one), scaled.normalize(stream, conv, one, one)
    )


@pytest.mark.parametrize(("norm", "needed"), [("group", True), ("layer", False)])
def test_only_a_norm_over_time_needs_them(norm: str, needed: bool) -> None:
    assert (extractor(norm=norm).clip_statistics() is not None) == needed

"""One convolution over all clips, and the frames of each are those it would have alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant.errors import TooShortAudio
from sonant.layers import conv_extractor
from sonant.layers.conv_extractor import ClipNorm, ConvExtractor, receptive_field
from sonant.layers.packed import Packed

KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
STACKS = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 4)), min_size=1, max_size=4)


def extractor(
    norm: str = "group",
    *,
    bias: bool = False,
    kernels: tuple[int, ...] = KERNELS,
    strides: tuple[int, ...] = STRIDES,
    **more: object,
) -> ConvExtractor:
    torch.manual_seed(0)
    made = ConvExtractor((8,) * len(kernels), kernels, strides, bias=bias, norm=norm, **more)
    for name, parameter in made.named_parameters():
        if "norm" in name or name.endswith("bias"):
            torch.nn.init.normal_(parameter, 0.5, 0.5)
    return made


def plain(made: ConvExtractor, clip: torch.Tensor) -> torch.Tensor:
    """What the stack is by definition: one clip, one layer after another; (frames, channels)."""
    x = clip[None, None]
    for layer in made.layers:
        x = layer.conv(x)
        if isinstance(layer.norm, ClipNorm):
            over = (1, 2) if layer.norm.groups == 1 else 2
            mean, variance = x.mean(over, keepdim=True), x.var(over, keepdim=True, unbiased=False)
            x = (x - mean) / (variance + 1e-5).sqrt() * layer.norm.weight[:, None] + layer.norm.bias[:, None]
        elif layer.norm is not None:
            mean, variance = x.mean(1, keepdim=True), x.var(1, keepdim=True, unbiased=False)
            x = (x - mean) / (variance + 1e-5).sqrt() * layer.norm.weight[:, None] + layer.norm.bias[:, None]
        x = layer.activation(x)
    return (x.abs() + 1).log()[0].T if made.log_compression else x[0].T


@given(st.integers(0, 10**6))
def test_frame_count_of_the_published_stack(num_samples: int) -> None:
    count = int(extractor().num_frames(torch.tensor(num_samples)))
    assert count == max(0, (num_samples - 80) // 320)


def test_receptive_field_of_the_published_stack() -> None:
    assert extractor().receptive_field == 400
    assert extractor().stride == 320


@settings(deadline=None)
@given(STACKS)
def test_receptive_field_is_the_first_length_with_a_frame(stack: list[tuple[int, int]]) -> None:
    kernels, strides = zip(*stack, strict=True)
    made = ConvExtractor((2,) * len(stack), kernels, strides)
    field = receptive_field(kernels, strides)
    counts = made.num_frames(torch.tensor([field - 1, field, field + made.stride - 1, field + made.stride]))
    assert counts.tolist() == [0, 1, 1, 2]


@pytest.mark.parametrize("norm", ["group", "layer", "clip"])
@pytest.mark.parametrize("bias", [False, True])
def test_each_clip_as_if_alone(norm: str, bias: bool) -> None:
    """Lengths at and around multiples of the stride, where a frame too many or too few would show."""
    made = extractor(norm, bias=bias)
    lengths = st.one_of(st.integers(400, 3000), st.sampled_from([400, 639, 640, 641, 719, 720, 721, 960]))

    @settings(max_examples=15, deadline=None, derandomize=True)
    @given(st.lists(lengths, min_size=1, max_size=5))
    def holds(sizes: list[int]) -> None:
        clips = [torch.randn(size) * 3 + 1 for size in sizes]
        with torch.no_grad():
            frames = made(Packed.pack(clips))
            assert frames.sizes == [(size - 80) // 320 for size in sizes]
            for clip, given_frames in zip(clips, frames, strict=True):
                torch.testing.assert_close(given_frames, plain(made, clip), rtol=1e-4, atol=1e-5)

    holds()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(STACKS, st.lists(st.integers(0, 60), min_size=1, max_size=4), st.sampled_from(["group", "layer", "clip"]))
def test_any_stack(stack: list[tuple[int, int]], extra: list[int], norm: str) -> None:
    """Kernels shorter than their strides included."""
    kernels, strides = zip(*stack, strict=True)
    made = ConvExtractor((4,) * len(stack), kernels, strides, norm=norm)
    clips = [torch.randn(made.receptive_field + strides[0] + more) for more in extra]  # two steps: one has no variance
    with torch.no_grad():
        for clip, frames in zip(clips, made(Packed.pack(clips)), strict=True):
            torch.testing.assert_close(frames, plain(made, clip), rtol=1e-3, atol=1e-4)


def test_wav2vec_norms_every_layer_over_channels_and_time() -> None:
    made = extractor("clip", activation="relu", log_compression=True)
    assert [layer.norm.groups for layer in made.layers] == [1] * 7
    clip = torch.randn(2000)
    with torch.no_grad():
        (frames,) = made(Packed.pack([clip]))
        torch.testing.assert_close(frames, plain(made, clip), rtol=1e-4, atol=1e-5)
        made.log_compression = False
        (raw,) = made(Packed.pack([clip]))
    assert raw.min() == 0  # no GELU
    torch.testing.assert_close(frames, (raw.abs() + 1).log())


def test_statistics_of_a_whole_clip_serve_one_norm_alone() -> None:
    """Not those of wav2vec: each of its layers would have to wait for the one below."""
    assert extractor("group").clip_statistics() is not None
    assert extractor("layer").clip_statistics() is extractor("clip").clip_statistics() is None


@pytest.mark.parametrize("norm", ["group", "layer", "clip"])
def test_nan_stays_in_its_clip(norm: str) -> None:
    made = extractor(norm)
    clips = [torch.randn(1000), torch.full((1111,), float("nan")), torch.randn(1000)]
    with torch.no_grad():
        before, broken, after = made(Packed.pack(clips))
    assert broken.isnan().all()
    assert before.isfinite().all()
    assert after.isfinite().all()


def test_too_short_clips_are_named() -> None:
    with pytest.raises(TooShortAudio, match=r"\[800, 399\].*400"):
        extractor()(Packed.pack([torch.zeros(800), torch.zeros(399)]))


def test_clip_norm_of_each_clip() -> None:
    """Zero mean and unit variance over the steps of each clip; what lies between clips becomes zero."""
    norm = ClipNorm(3)
    stream = torch.randn(1, 3, 40) * torch.tensor([1.0, 10.0, 0.1])[:, None] + 5
    starts, lengths = [0, 15, 30], [12, 15, 9]
    normed = norm(stream, starts, lengths)
    inside = torch.zeros(40, dtype=torch.bool)
    for start, length in zip(starts, lengths, strict=True):
        inside[start : start + length] = True
        clip = normed[0, :, start : start + length]
        torch.testing.assert_close(clip.mean(1), torch.zeros(3), rtol=0, atol=1e-5)
        torch.testing.assert_close(clip.var(1, unbiased=False), torch.ones(3), rtol=0, atol=5e-3)
    assert not normed[:, :, ~inside].any()


def test_frames_step_by_the_stride() -> None:
    """A frame sees its 400 samples and no other: a change at one sample moves at most two frames."""
    made = extractor("layer")
    clip = torch.randn(4000)
    with torch.no_grad():
        frames = made(Packed.pack([clip])).values
        for sample in (0, 319, 320, 399, 400, 2000, 3999):
            changed = clip.clone()
            changed[sample] += 1
            moved = (made(Packed.pack([changed])).values != frames).any(1).nonzero()[:, 0].tolist()
            sees = [t for t in range(len(frames)) if 320 * t <= sample < 320 * t + 400]
            assert set(moved) <= set(sees)
            assert len(moved) == len(sees)


def test_gradients_reach_every_parameter() -> None:
    for norm in ("group", "layer"):
        made = extractor(norm, bias=True)
        made(Packed.pack([torch.randn(1000), torch.randn(2000)])).values.square().sum().backward()
        for name, parameter in made.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            # A norm over time takes the first bias away.
            assert parameter.grad.any() or name == "layers.0.conv.bias", name


@settings(max_examples=40, deadline=None, derandomize=True)
@given(STACKS, st.lists(st.integers(0, 60), min_size=1, max_size=3), st.sampled_from(["group", "layer"]), st.booleans())
def test_gradients_by_definition(stack: list[tuple[int, int]], extra: list[int], norm: str, bias: bool) -> None:
    """Through clips as rows and, where the waveform has a gradient, through one stream: those of the plain stack."""
    kernels, strides = zip(*stack, strict=True)
    made = extractor(norm, bias=bias, kernels=kernels, strides=strides).double()
    clips = [torch.randn(made.receptive_field + strides[0] + more).double() for more in extra]
    expected = torch.cat([plain(made, clip) for clip in clips])
    slope, weights = torch.randn_like(expected), list(made.parameters())
    gradients = torch.autograd.grad(expected, weights, slope)
    for waveform in (False, True):
        frames = made(Packed.pack([clip.clone().requires_grad_(waveform) for clip in clips])).values
        torch.testing.assert_close(frames, expected)
        for one, other in zip(torch.autograd.grad(frames, weights, slope), gradients, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("norm", ["group", "layer", "clip"])
def test_long_streams_have_few_lengths(norm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = extractor(norm)
    clips = [torch.randn(length) for length in (600, 2000, 431)]
    expected = made(Packed.pack(clips)).values
    monkeypatch.setattr(conv_extractor, "STREAM_FRAMES", 7)
    assert conv_extractor.in_few_totals(torch.tensor([200, 23])).tolist() == [200, 23]  # not long
    assert conv_extractor.in_few_totals(torch.tensor([200, 25])).tolist() == [200, 31]
    lengthened = torch.tensor([600, 2000, 431]) // made.stride + torch.tensor([1, 1, 9])
    monkeypatch.setattr(ConvExtractor, "_slots", lambda *_: lengthened)
    monkeypatch.setattr(ConvExtractor, "_takes_rows", lambda *_: False)
    torch.testing.assert_close(made(Packed.pack(clips)).values, expected)


@pytest.mark.parametrize("norm", ["group", "layer", "clip"])
def test_clips_of_one_length_as_the_rows_of_a_batch(norm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU; frames and gradients are those of one stream."""
    made = extractor(norm, bias=True)
    monkeypatch.setattr(ConvExtractor, "_takes_rows", lambda *_: False)
    speech = Packed.pack(torch.randn(3, 1234))
    stream = made(speech)
    monkeypatch.setattr(conv_extractor, "as_rows", lambda _: True)
    rows = made(speech)
    torch.testing.assert_close(rows.values, stream.values)
    assert torch.equal(rows.lengths, stream.lengths)
    slope = torch.randn_like(stream.values)
    gradients = (torch.autograd.grad(made_.values, list(made.parameters()), slope) for made_ in (rows, stream))
    for one, other in zip(*gradients, strict=True):
        assert (one - other).norm() <= 1e-4 * other.norm() + 1e-5  # a bias before a group norm has none

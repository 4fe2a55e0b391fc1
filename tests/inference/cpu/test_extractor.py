"""The optimized extractor gives the frames of the plain one."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant.errors import ConfigurationError, TooShortAudio
from sonant.inference.cpu import extractor as module
from sonant.inference.cpu import linear, shape_buckets
from sonant.inference.cpu.extractor import CpuExtractor
from sonant.layers.conv_extractor import ConvExtractor
from sonant.layers.packed import Packed
from tests.inference.cpu.reordering import can_reorder

KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
NORMS = ["group", "layer", "clip"]
STACKS = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 4)), min_size=1, max_size=4)


def extractor(norm: str = "group", *, bias: bool = False, channels: int = 8, **more: object) -> ConvExtractor:
    torch.manual_seed(0)
    made = ConvExtractor((channels,) * 7, KERNELS, STRIDES, bias=bias, norm=norm, **more)
    for name, parameter in made.named_parameters():
        if "norm" in name or name.endswith("bias"):
            torch.nn.init.normal_(parameter, 0.5, 0.5)
    return made.eval().requires_grad_(requires_grad=False)


def deviation(given: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference over the largest value."""
    assert given.shape == expected.shape
    return float((given - expected).abs().max() / expected.abs().max())


@pytest.fixture(params=["reordered", "plain"])
def product(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The products that a machine may have."""
    if request.param == "reordered" and not torch.backends.mkldnn.is_available():
        pytest.skip("torch without oneDNN")
    monkeypatch.setattr(
        linear, "reordered_is_faster", lambda precision: request.param == "reordered" and can_reorder(precision)
    )
    return str(request.param)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("bias", [False, True])
def test_frames_of_the_plain_extractor(norm: str, *, bias: bool, product: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lengths at and around multiples of the stride, and where a clip begins another tile."""
    monkeypatch.setattr(module, "TILE_FRAMES", 5)
    monkeypatch.setattr(module, "UNIT_FRAMES", 2)
    monkeypatch.setattr(shape_buckets, "LARGEST_BLOCK", 64)
    plain = extractor(norm, bias=bias)
    optimized = CpuExtractor(plain)
    edge = 4 * 320 + 400
    lengths = [400, 639, 719, 720, edge - 1, edge, edge + 319, edge + 320, edge + 5 * 320, 9_999]
    clips = [torch.randn(length) * 3 + 1 for length in lengths]
    frames, expected = optimized(Packed.pack(clips)), plain(Packed.pack(clips))
    assert frames.sizes == expected.sizes == optimized.num_frames(torch.tensor(lengths)).tolist()
    for made, wanted in zip(frames, expected, strict=True):
        assert deviation(made, wanted) < 1e-5


@pytest.mark.parametrize("norm", ["group", "layer"])
@pytest.mark.parametrize("frames", [99, 100, 101, 201])
def test_tiles_as_long_as_in_use(norm: str, frames: int) -> None:
    plain = extractor(norm, channels=16)
    speech = Packed.pack([torch.randn(frames * 320 + 80)])
    assert deviation(CpuExtractor(plain)(speech).values, plain(speech).values) < 1e-5


@settings(max_examples=40, derandomize=True)
@given(STACKS, st.lists(st.integers(0, 60), min_size=1, max_size=4), st.sampled_from(NORMS))
def test_any_stack(stack: list[tuple[int, int]], extra: list[int], norm: str) -> None:
    """Kernels shorter than their strides included."""
    kernels, strides = zip(*stack, strict=True)
    plain = ConvExtractor((4,) * len(stack), kernels, strides, norm=norm).requires_grad_(requires_grad=False)
    clips = [torch.randn(plain.receptive_field + strides[0] + more) for more in extra]
    speech = Packed.pack(clips)
    torch.testing.assert_close(CpuExtractor(plain)(speech).values, plain(speech).values, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_clip_does_not_depend_on_its_batch(norm: str, precision: str) -> None:
    optimized = CpuExtractor(extractor(norm), precision=precision)
    clips = [torch.randn(1234), torch.full((1111,), float("nan")), torch.randn(40_000), torch.zeros(400)]
    together = optimized(Packed.pack(clips))
    for clip, frames in zip(clips, together, strict=True):
        assert torch.equal(optimized(Packed.pack([clip])).values.nan_to_num(7.0), frames.nan_to_num(7.0))
    assert [bool(frames.isnan().any()) for frames in together] == [False, True, False, False]


@pytest.mark.parametrize("norm", NORMS)
def test_silence_and_an_offset(norm: str) -> None:
    plain = extractor(norm)
    optimized = CpuExtractor(plain)
    for clip in (torch.zeros(2000), torch.full((2000,), 0.5), torch.randn(2000) * 1e-4 + 0.1):
        speech = Packed.pack([clip])
        torch.testing.assert_close(optimized(speech).values, plain(speech).values, rtol=1e-4, atol=1e-4)


def test_relu_and_log_compression_as_in_wav2vec() -> None:
    plain = extractor("clip", activation="relu", log_compression=True)
    speech = Packed.pack([torch.randn(2000), torch.randn(700)])
    assert deviation(CpuExtractor(plain)(speech).values, plain(speech).values) < 1e-5


def test_windows_with_the_statistics_of_their_clip() -> None:
    """Each window gives the frames that the whole clip has there."""
    plain = extractor()
    optimized = CpuExtractor(plain)
    clip = torch.cat([torch.randn(8000), torch.randn(8000) * 5 + 2])
    whole = plain(Packed.pack([clip])).values
    statistics = optimized.clip_statistics()
    statistics.update(clip.numpy())
    for start in (0, 10, 20):
        window = clip[start * 320 : (start + 19) * 320 + 400]
        frames = optimized(Packed.pack([window]), statistics=[statistics]).values
        assert deviation(frames, whole[start : start + 20]) < 1e-5
        assert deviation(frames, plain(Packed.pack([window]), statistics=[statistics]).values) < 1e-5


def test_each_clip_of_a_batch_has_its_own_statistics() -> None:
    plain = extractor()
    clips = [torch.randn(8000), torch.randn(5000) * 5 + 2, torch.randn(3000)]
    known = [plain.clip_statistics(), plain.clip_statistics(), None]
    for clip, statistics in zip(clips[:2], known[:2], strict=True):
        statistics.update(clip.numpy())
    windows = Packed.pack([clips[0][1600:], clips[1][:3000], clips[2]])
    given, expected = (part(windows, statistics=known).values for part in (CpuExtractor(plain), plain))
    assert deviation(given, expected) < 1e-5


@pytest.mark.parametrize("norm", NORMS)
def test_statistics_are_those_of_the_plain_extractor(norm: str) -> None:
    plain = extractor(norm)
    assert type(CpuExtractor(plain).clip_statistics()) is type(plain.clip_statistics())


def test_statistics_of_another_kind() -> None:
    class Loudness:
        """What no extractor has."""

    with pytest.raises(ConfigurationError, match="Loudness"):
        CpuExtractor(extractor())(Packed.pack([torch.zeros(400)]), statistics=[Loudness()])


def test_too_short_clips_are_named() -> None:
    with pytest.raises(TooShortAudio, match=r"\[800, 399\].*400"):
        CpuExtractor(extractor())(Packed.pack([torch.zeros(800), torch.zeros(399)]))


@pytest.mark.parametrize("norm", NORMS)
def test_bfloat16_keeps_the_direction_of_every_frame(norm: str, product: str) -> None:
    plain = extractor(norm, channels=64)
    speech = Packed.pack([torch.randn(5000), torch.randn(33_000) * 0.1])
    frames = CpuExtractor(plain, precision="bfloat16")(speech).values
    assert frames.dtype == torch.float32
    assert torch.cosine_similarity(frames, plain(speech).values).min() > 0.9995
    assert torch.equal(CpuExtractor(plain, precision="int8")(speech).values, frames)


@pytest.mark.parametrize("norm", NORMS)
def test_weights_and_samples_in_bfloat16(norm: str) -> None:
    """Such a model's own values, in float32 arithmetic."""
    plain = extractor(norm).bfloat16()
    optimized = CpuExtractor(plain)
    speech = Packed.pack([torch.randn(2000).bfloat16()])
    expected = plain.float()(speech.with_values(speech.values.float())).values
    assert deviation(optimized(speech).values, expected) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["group", "layer"])
def test_two_minutes_in_a_hundred_mebibytes(norm: str) -> None:
    """Beyond the waveform, the frames among it; the published width."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("peak memory is read from Linux")
    script = f"""
        import re, torch
        from sonant.inference.cpu.extractor import CpuExtractor
        from sonant.layers.conv_extractor import ConvExtractor
        from sonant.layers.packed import Packed

        def mebibytes(kind):
            return int(re.search(kind + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

        torch.set_num_threads(1)
        optimized = CpuExtractor(ConvExtractor((512,) * 7, {KERNELS}, {STRIDES}, norm={norm!r}))
        speech = Packed.pack([torch.randn(120 * 16000)])
        with torch.inference_mode():
            optimized(Packed.pack([torch.randn(16000)]))
            open("/proc/self/clear_refs", "w").write("5")
            before = mebibytes("VmRSS")
            optimized(speech)
        print(mebibytes("VmHWM") - before)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 100

"""The optimized convolutions over frames give what the plain modules give."""

import pytest
import torch

from sonant.inference.cpu import grouped_convolution as grouped
from sonant.inference.cpu import linear, shape_buckets
from sonant.inference.cpu.positions import (
    CpuBatchNormPositions,
    CpuConvModule,
    CpuConvPositions,
    CpuStackedPositions,
)
from sonant.layers.conformer import ConvModule
from sonant.layers.packed import Packed
from sonant.layers.positions import BatchNormPositions, ConvPositions, StackedPositions
from tests.inference.cpu.reordering import can_reorder

SIZES = [[1], [2, 1, 30], [19, 20, 21], [40, 41, 5], [200]]  # blocks of 64 frames


def positions(kernel: int = 16, groups: int = 4) -> ConvPositions:
    torch.manual_seed(0)
    made = ConvPositions(24, kernel=kernel, groups=groups)
    torch.nn.init.normal_(made.weight_g, 1.5, 0.5)
    torch.nn.init.normal_(made.bias, 0, 0.5)
    return made.eval().requires_grad_(requires_grad=False)


def batch_norm_positions(kernel: int = 16, groups: int = 4) -> BatchNormPositions:
    torch.manual_seed(0)
    made = BatchNormPositions(24, kernel=kernel, groups=groups)
    assert made.norm.running_mean is not None
    assert made.norm.running_var is not None
    for tensor in (made.norm.weight, made.norm.bias, made.norm.running_mean, made.bias):
        torch.nn.init.normal_(tensor, 0.5, 0.5)
    torch.nn.init.uniform_(made.norm.running_var, 0.5, 2)
    return made.eval().requires_grad_(requires_grad=False)


def conv_module() -> ConvModule:
    torch.manual_seed(0)
    made = ConvModule(24, kernel=7, dropout=0.5)
    for norm in (made.norm, made.depthwise_norm):
        torch.nn.init.normal_(norm.weight, 1, 0.5)
        torch.nn.init.normal_(norm.bias, 0, 0.5)
    return made.eval().requires_grad_(requires_grad=False)


@pytest.fixture(params=["reordered", "plain"])
def operators(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a machine may have."""
    if request.param == "reordered" and not torch.backends.mkldnn.is_available():
        pytest.skip("torch without oneDNN")
    monkeypatch.setattr(
        linear, "reordered_is_faster", lambda precision: request.param == "reordered" and can_reorder(precision)
    )
    monkeypatch.setattr(
        grouped, "reordered_serves", lambda precision: request.param == "reordered" and can_reorder(precision)
    )
    monkeypatch.setattr(shape_buckets, "LARGEST_BLOCK", 64)
    return str(request.param)


@pytest.mark.usefixtures("operators")
@pytest.mark.parametrize(("kernel", "groups"), [(16, 4), (15, 4), (1, 1), (3, 24)])
@pytest.mark.parametrize("sizes", SIZES)
def test_positions_of_the_plain_module(kernel: int, groups: int, sizes: list[int]) -> None:
    plain = positions(kernel, groups)
    frames = Packed.pack([torch.randn(size, 24) for size in sizes])
    torch.testing.assert_close(CpuConvPositions(plain)(frames), plain(frames), rtol=1e-5, atol=1e-5)
    normed = batch_norm_positions(kernel, groups)
    torch.testing.assert_close(CpuBatchNormPositions(normed)(frames), normed(frames), rtol=1e-5, atol=1e-5)
    stacked = StackedPositions(24, depth=3, kernel=kernel, groups=groups).requires_grad_(requires_grad=False)
    torch.testing.assert_close(CpuStackedPositions(stacked)(frames), stacked(frames), rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("operators")
@pytest.mark.parametrize("sizes", SIZES)
def test_conv_module_of_the_plain_one(sizes: list[int]) -> None:
    plain = conv_module()
    frames = Packed.pack([torch.randn(size, 24) for size in sizes])
    torch.testing.assert_close(CpuConvModule(plain)(frames), plain(frames), rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("operators")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_clip_does_not_depend_on_its_batch(precision: str) -> None:
    clips = [torch.randn(30, 24), torch.full((25, 24), float("nan")), torch.randn(1, 24), torch.randn(90, 24)]
    for optimized in (
        CpuConvPositions(positions(), precision=precision),
        CpuConvModule(conv_module(), precision=precision),
    ):
        together = Packed.pack(clips)
        for clip, made in zip(clips, together.with_values(optimized(together)), strict=True):
            torch.testing.assert_close(made, optimized(Packed.pack([clip])), equal_nan=True)
            assert bool(made.isnan().any()) == bool(clip.isnan().any())


@pytest.mark.usefixtures("operators")
def test_bfloat16_keeps_the_direction_of_every_frame() -> None:
    frames = Packed.pack([torch.randn(size, 24) for size in (3, 70)])
    for plain, optimized in (
        (positions(), CpuConvPositions(positions(), precision="bfloat16")),
        (conv_module(), CpuConvModule(conv_module(), precision="bfloat16")),
    ):
        assert torch.cosine_similarity(optimized(frames).float(), plain(frames)).min() > 0.9995


@pytest.mark.usefixtures("operators")
def test_input_that_is_not_contiguous() -> None:
    wide = torch.randn(50, 48)[:, ::2]
    frames, dense = Packed.pack([wide]), Packed.pack([wide.contiguous()])
    frames = frames.with_values(wide)
    for optimized in (CpuConvPositions(positions()), CpuConvModule(conv_module())):
        torch.testing.assert_close(optimized(frames), optimized(dense))


def test_the_longest_tile_in_use() -> None:
    plain = positions()
    for size in (511, 512, 513, 1025):
        frames = Packed.pack([torch.randn(size, 24)])
        torch.testing.assert_close(CpuConvPositions(plain)(frames), plain(frames), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("operator", ["_reorder_convolution_weight", "_convolution_pointwise"])
def test_without_the_private_operators(monkeypatch: pytest.MonkeyPatch, operator: str) -> None:
    """A torch that lacks them, or that refuses the call."""

    def refuses(*_: object) -> None:
        raise RuntimeError("not here")

    grouped.reordered_serves.cache_clear()
    with monkeypatch.context() as without:
        without.setattr(torch.ops.mkldnn, operator, refuses, raising=False)
        assert not grouped.reordered_serves("float32")
        optimized = CpuConvPositions(positions(), precision="bfloat16")
        assert isinstance(optimized.convolution.convolve, grouped.PlainConvolution)
        frames = Packed.pack([torch.randn(33, 24)])
        torch.testing.assert_close(optimized(frames), positions()(frames), rtol=1e-5, atol=1e-5)
    grouped.reordered_serves.cache_clear()


def test_a_wrong_result_is_not_relied_on(monkeypatch: pytest.MonkeyPatch) -> None:
    right = grouped.OneDNNConvolution.__call__
    monkeypatch.setattr(grouped.OneDNNConvolution, "__call__", lambda self, rows: right(self, rows) * 1.01)
    grouped.reordered_serves.cache_clear()
    assert not grouped.reordered_serves("float32")
    grouped.reordered_serves.cache_clear()

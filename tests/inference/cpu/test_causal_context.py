"""The optimized causal convolutions give what the plain ones give."""

import pytest
import torch

from sonant.inference.cpu import shape_buckets
from sonant.inference.cpu.causal_context import CpuCausalLayer
from sonant.layers.causal_context import CausalLayer
from sonant.layers.packed import Packed

SIZES = [[2], [1, 9, 30], [31, 32, 33, 150]]  # the norm takes 64 rows at a time


def layer(kernel: int, *, zero_padding: bool = False) -> CausalLayer:
    torch.manual_seed(0)
    made = CausalLayer(24, kernel, zero_padding=zero_padding, dropout=0.5)
    torch.nn.init.normal_(made.norm.weight, 1, 0.5)
    torch.nn.init.normal_(made.norm.bias, 0, 0.5)
    return made.eval().requires_grad_(requires_grad=False)


@pytest.mark.parametrize("zero_padding", [False, True])
@pytest.mark.parametrize("kernel", [1, 2, 7])
@pytest.mark.parametrize("sizes", SIZES)
def test_the_plain_layer(sizes: list[int], kernel: int, monkeypatch: pytest.MonkeyPatch, *, zero_padding: bool) -> None:
    monkeypatch.setattr(shape_buckets, "LARGEST_BLOCK", 64)
    plain = layer(kernel, zero_padding=zero_padding)
    frames = Packed.pack([torch.randn(size, 24) * 2 + 1 for size in sizes])
    torch.testing.assert_close(CpuCausalLayer(plain)(frames), plain(frames), rtol=1e-5, atol=1e-5)


def test_bfloat16_keeps_the_direction_of_every_frame() -> None:
    plain = layer(7)
    frames = Packed.pack([torch.randn(size, 24) for size in (3, 70)])
    made = CpuCausalLayer(plain, precision="bfloat16")(frames)
    assert made.dtype == torch.float32
    assert torch.cosine_similarity(made, plain(frames)).min() > 0.9995


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_clip_does_not_depend_on_its_batch(precision: str) -> None:
    optimized = CpuCausalLayer(layer(4), precision=precision)
    clips = [torch.randn(30, 24), torch.full((25, 24), float("nan")), torch.randn(1, 24)]
    together = Packed.pack(clips)
    for clip, made in zip(clips, together.with_values(optimized(together)), strict=True):
        alone = optimized(Packed.pack([clip]))
        assert torch.equal(made.nan_to_num(7.0), alone.nan_to_num(7.0))
        assert bool(made.isnan().any()) == bool(clip.isnan().any())
